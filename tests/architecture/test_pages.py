"""The pages for people who change the code name files and symbols: each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

PACKAGE = ROOT / "src" / "regimen"
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "architecture.md", *sorted(PACKAGE.rglob("README.md"))]
NAME = re.compile(r"`((?:[\w.-]+/)+|(?:[\w.-]+/)*[\w-]+\.(?:py|md|yaml|csv|jinja|json|toml))(?:::(\w+))?`")


def found(page: Path, name: str) -> Path | None:
    """The file or folder of that name: beside the page, in the package, or in the checkout."""
    return next((folder / name for folder in (page.parent, PACKAGE, ROOT) if (folder / name).exists()), None)


def defines(path: Path, symbol: str) -> bool:
    """Whether the module has this name at its top."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == symbol:
            return True
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == symbol for target in targets):
            return True
    return False


def faults(page: Path, text: str) -> list[str]:
    wrong = []
    for name, symbol in NAME.findall(text):
        path = found(page, name)
        if path is None:
            wrong.append(f"no {name}")
        elif symbol and not defines(path, symbol):
            wrong.append(f"no {symbol} in {name}")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert NAME.search(text)
    assert not faults(page, text)


def test_a_name_that_is_gone_is_noticed() -> None:
    page = PAGES[0]
    assert faults(page, "`study/loading.py::load_study`, `docs/`") == []
    assert faults(page, "`study/loading.py::load_stud` `study/lading.py`") == [
        "no load_stud in study/loading.py",
        "no study/lading.py",
    ]
