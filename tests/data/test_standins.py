"""A mirror's own word on rows that are not the source's is found for its source, config and split, and no other."""

from __future__ import annotations

from pathlib import Path

from regimen.data.sources import Where
from regimen.data.standins import stand_in
from regimen.study.sources import Source

ACCOUNT = """\
| Hub id | rows | note |
|---|---|---|
| org/books | train 10 | **STAND-IN**, three classics |
| org/wiki raw | train 5, test 6 | STAND-IN, thin |
| org/real | train 9 | real, not a stand-in |
"""


def test_marked_lines_are_found(tmp_path: Path) -> None:
    (tmp_path / "SOURCES.md").write_text(ACCOUNT)
    where = Where(data=tmp_path)

    def note(hub: str, split: str, config: str | None = None) -> str | None:
        source = Source.model_validate({"hub": hub, "config": config, "form": {"text": "{{ text }}"}})
        return stand_in(source, split, where)

    assert note("org/books", "train") == "STAND-IN, three classics"
    assert note("org/books", "test") is None
    assert note("org/wiki", "test", "raw") == "STAND-IN, thin"
    assert note("org/wiki", "test", "other") is None
    assert note("org/real", "train") is None
