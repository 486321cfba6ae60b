"""Every piece of a study that a page shows is loaded, put into a frame that completes it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from regimen.errors import StudyError
from regimen.study import load_study
from tests.support.page_snippets import FOUND, complete, snippets


def load(piece: str, folder: Path) -> None:
    path = folder / "snippet.yaml"
    path.write_text(yaml.safe_dump(complete(yaml.safe_load(piece))), encoding="utf-8")
    load_study(path)


@pytest.mark.parametrize(("page", "piece"), FOUND, ids=[f"{page}-{number}" for number, (page, _) in enumerate(FOUND)])
def test_pieces_of_studies_on_pages_load(page: str, piece: str, tmp_path: Path) -> None:
    load(piece, tmp_path)


def test_pieces_are_found_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    assert sum(page == "your-own-study.md" for page, _ in FOUND) >= 6
    page = "Text\n\n    tasks:\n      t: {title: Urgent?, scoring: choice}\n\nand\n\n```yaml\nbase: {id: x}\n```\n"
    assert len(snippets(page)) == 2
    with pytest.raises((StudyError, yaml.YAMLError)):
        load(snippets(page)[1], tmp_path)
