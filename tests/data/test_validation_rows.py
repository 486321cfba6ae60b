"""Validation rows: cut off the training side, apart from it and from test rows by group, clean of test items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.data.cleaning import Drops, side_of
from regimen.data.overlap import TestText, TestTexts
from regimen.data.prepare import trainable_rows
from regimen.data.rows import usable_rows
from regimen.data.sources import Where
from regimen.study.sources import Side, Source
from tests.support.row_files import write

SIDES: tuple[Side, ...] = ("train", "validation", "test")
SHARES = st.none() | st.floats(1e-6, 1 - 1e-6)


def source(**more: Any) -> Source:
    form = {"prompt": "{{ ask }}", "answer": "{{ reply }}", "group": "{{ who }}"}
    return Source.model_validate({"files": ["rows.jsonl"], "form": form} | more)


def rows(count: int, groups: int, word: str = "row") -> list[dict[str, Any]]:
    return [{"ask": f"{word} {i}?", "reply": f"{i}", "who": f"{word}'s {i % groups}"} for i in range(count)]


def sides(own: Source, folder: Path) -> dict[Side, list[dict[str, Any]]]:
    found: dict[Side, list[dict[str, Any]]] = {}
    for side in SIDES:
        if side == "train" or own.cut_of(side):
            found[side] = [row.values for row in usable_rows("it", own, side, Where(here=folder), Drops())]
    return found


@given(group=st.text(), test=SHARES, validation=SHARES, more=st.floats(0, 0.5))
def test_a_group_has_one_side_and_no_training_row_becomes_a_test_row_by_validating(
    group: str, test: float | None, validation: float | None, more: float
) -> None:
    side = side_of(group, test, validation)
    assert side in SIDES
    assert (side == "test") == (side_of(group, test, None) == "test"), "the test side is what it was without"
    if test is None:
        assert side != "test"
    if validation is None:
        assert side != "validation"
    elif side == "validation" and validation + more < 1:
        assert side_of(group, test, validation + more) == "validation", "a larger share takes more and gives none back"


@pytest.mark.parametrize(("test", "validation"), [(0.2, 0.1), (0.5, 0.5), (0.05, 0.9), (None, 0.3)])
def test_sides_are_apart_by_group_whatever_the_shares(test: float | None, validation: float, tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", rows(3000, 600))
    held_out = {"held_out": {"share": test}} if test else {}
    found = sides(source(validation={"share": validation}, **held_out), tmp_path)
    groups = {side: {row["who"] for row in own} for side, own in found.items()}
    assert sum(map(len, found.values())) == 3000
    assert sum(map(len, groups.values())) == len(set().union(*groups.values())) == 600
    left = 1 - (test or 0)
    assert len(groups["validation"]) / 600 == pytest.approx(left * validation, abs=0.06)


def test_files_of_validation_rows_are_no_training_rows_and_hold_no_group_that_is_tested_on(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    train = rows(100, 20)
    write(tmp_path / "data" / "a.jsonl", train)
    write(tmp_path / "data" / "b.jsonl", [{**row, "ask": f"again {row['ask']}"} for row in train])
    own = source(files=["data/*.jsonl"], held_out={"share": 0.3}, validation={"files": ["data/b.jsonl"]})
    found = sides(own, tmp_path)
    assert all("again" not in row["ask"] for side in ("train", "test") for row in found[side])
    assert all("again" in row["ask"] for row in found["validation"])
    assert not {row["who"] for row in found["validation"]} & {row["who"] for row in found["test"]}


def test_a_validation_row_that_holds_a_test_item_is_dropped_and_counted(tmp_path: Path) -> None:
    written = [
        {"ask": f"a question of many words, number {i}, about {i * 7}", "reply": "x", "who": f"{i}"} for i in range(60)
    ]
    write(tmp_path / "rows.jsonl", written)
    own, where = source(validation={"share": 0.5}), Where(here=tmp_path)
    first = next(usable_rows("it", own, "validation", where, Drops()))
    tests = TestTexts(
        [TestText("quiz", "quiz:1", str(first.values["ask"]), True, (str(first.values["ask"]),), None, "")]
    )
    drops = Drops()
    kept = [row for batch in trainable_rows("it", own, "finetune", where, tests, drops, "validation") for row in batch]
    assert first.values not in [row.values for row in kept]
    assert drops.counts == {"test item of quiz": 1}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"validation": {}}, "exactly one of `split`, `files` and `share`"),
        ({"validation": {"share": 0.1, "split": "dev"}}, "exactly one of `split`, `files` and `share`"),
        ({"validation": {"split": "dev"}}, "own files have no splits: validate on `files` or a `share`"),
        ({"validation": {"files": ["rows.jsonl"]}}, "'rows.jsonl' is trained on; validate on another file"),
        ({"validation": {"files": ["t"]}, "held_out": {"files": ["t"]}}, "'t' is tested on; validate on another file"),
        ({"validation": {"share": 0.1}, "split": None}, "only tested on"),
        (
            {"validation": {"split": "train"}, "files": [], "hub": "a/b"},
            "'train' is trained on; validate on another split",
        ),
        ({"validation": {"files": ["x"]}, "files": [], "hub": "a/b"}, "of a Hub source name the `split`"),
    ],
)
def test_validation_rows_that_cannot_be_are_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        source(**fields)
