"""The page of public trouble names tests that there are."""

from __future__ import annotations

import re

import pytest

from tests.support.checkout import ROOT

PAGE = (ROOT / "docs" / "public-trouble.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def defined() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.M)}


def test_every_named_test_is_there(defined: set[str]) -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 20
    assert named <= defined


def test_every_named_case_is_there() -> None:
    named = set(re.findall(r"case `([\w/-]+)`", PAGE))
    table = (ROOT / "tests" / "cases" / "test_cases.py").read_text(encoding="utf-8")
    assert named
    assert not [case for case in named if f'"{case}"' not in table and f'"{case.split("/")[-1]}"' not in table]


def test_every_row_of_the_tables_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| report", "| kind"))]
    assert rows
    assert not [row for row in rows if "`test_" not in row and "case `" not in row]
