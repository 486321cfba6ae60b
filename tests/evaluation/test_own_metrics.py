"""Metrics of the user's own: what they get, what they give, and what becomes of their faults."""

from __future__ import annotations

import math

import pytest

from regimen.data.items import Item
from regimen.errors import DataError, UsageError
from regimen.evaluation.open_answers import UNENDED, SavedAnswer, note_readings, taken_up
from regimen.evaluation.own_metrics import fault_counts, own_readers
from regimen.study.tasks import CodeFile, Generation, Task

CODE = """\
from dataclasses import dataclass

import numpy


@dataclass
class Kept:
    value: float


def nearest(prediction, answers):
    return Kept(max(float(prediction == answer) for answer in answers)).value


def whole(prediction, answers):
    return prediction in answers


def scalar(prediction, answers):
    return numpy.float32(0.5)


def raises(prediction, answers):
    if prediction == "odd":
        raise KeyError("nothing; at all")
    return 1.0


def ends(prediction, answers):
    raise SystemExit(3)


def text(prediction, answers):
    return "0.5"


def nothing(prediction, answers):
    return None


def infinite(prediction, answers):
    return float("inf")


def greedy(prediction, answers):
    answers.clear()
    return 1
"""


def task_of(*functions: str, code: str = CODE, extract: str | None = None) -> Task:
    return Task(
        title="Mood",
        group="g",
        source=("s",),
        scoring="generation",
        metrics=tuple(f"judge:{name}" if name != "exact-match" else name for name in functions),
        generation=Generation(tokens=4),
        extract=extract,
        code=(CodeFile(module="judge", text=code),),
    )


ITEMS = [Item("s:1", "Q:", " good", others=("fine",)), Item("s:2", "Q:", " bad"), Item("s:3", "Q:", " odd")]


def saved(text: str, item: Item, detail: str = "", failed: bool = False) -> SavedAnswer:
    return SavedAnswer(item.id, "hash", text, False, failed, detail, math.nan, 0, 0, 0)


def scored(task: Task, *texts: str):
    rows = taken_up(ITEMS, [saved(text, item) for text, item in zip(texts, ITEMS, strict=True)])
    assert rows is not None
    note_readings(task, ITEMS, [rows], own_readers(task, trusted=True))
    return rows


def test_a_function_gets_the_text_and_all_right_answers() -> None:
    rows = scored(task_of("nearest", "whole", "scalar", "exact-match"), "fine", "good", "odd")
    assert [row.score for row in rows] == [1.0, 0.0, 1.0]
    assert [row.values["judge:whole"] for row in rows] == [1.0, 0.0, 1.0]
    assert {row.values["judge:scalar"] for row in rows} == {0.5}
    assert rows[1].prediction == "good"
    assert not any(row.failed or row.detail for row in rows)


def test_a_function_cannot_change_what_others_see() -> None:
    rows = scored(task_of("greedy", "nearest"), "good", "bad", "odd")
    assert [row.values["judge:nearest"] for row in rows] == [1.0, 1.0, 1.0]


def test_what_extract_reads_is_what_the_function_gets() -> None:
    rows = scored(task_of("whole", extract="is (.*)"), "it is good", "none", "is odd")
    assert [row.values["judge:whole"] for row in rows] == [1.0, 0.0, 1.0]
    assert [row.failed for row in rows] == [False, True, False]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("ends", "the metric judge:ends raised SystemExit: 3"),
        ("text", "the metric judge:text returned '0.5', not a finite number"),
        ("nothing", "the metric judge:nothing returned None, not a finite number"),
        ("infinite", "the metric judge:infinite returned inf, not a finite number"),
    ],
)
def test_what_is_no_number_is_a_failure_of_the_item(function: str, reason: str) -> None:
    rows = scored(task_of(function, "exact-match"), "good", "bad", "odd")
    assert all(row.failed and math.isnan(row.score) and row.detail == reason for row in rows)
    assert [row.values["exact-match"] for row in rows] == [1.0, 1.0, 1.0]


def test_failures_are_counted_with_item_and_metric() -> None:
    rows = scored(task_of("exact-match", "raises"), "good", "bad", "odd")
    assert [row.failed for row in rows] == [False, False, False], "the headline has a value everywhere"
    values = {name: [row.values[name] for row in rows] for name in ("exact-match", "judge:raises")}
    assert fault_counts(values, [row.item_id for row in rows], [row.detail for row in rows]) == {
        "judge:raises": "1 of 3 items have no value (first: s:3: the metric judge:raises raised "
        "KeyError: 'nothing, at all')"
    }


def test_answers_are_taken_up_as_they_were_before_a_metric_read_them() -> None:
    details = [f"{UNENDED}; the metric judge:f raised KeyError: 1", "a logit is not finite", ""]
    before = [saved("x", item, detail, failed=True) for item, detail in zip(ITEMS, details, strict=True)]
    rows = taken_up(ITEMS, before)
    assert rows is not None
    assert [(row.detail, row.failed) for row in rows] == [
        (UNENDED, False),
        ("a logit is not finite", True),
        ("", False),
    ]
    assert taken_up(ITEMS[:2], before) is None
    assert taken_up(ITEMS[::-1], before) is None


def test_code_that_is_not_trusted_does_not_run() -> None:
    with pytest.raises(UsageError, match="runs only with --trust-study-code"):
        own_readers(task_of("f", code="raise KeyError\ndef f(a, b): pass"), trusted=False)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_package_here\ndef f(a, b): pass", r"judge.py .* cannot be run \(ModuleNotFoundError: No mod"),
        ("import sys\nsys.exit(2)\ndef f(a, b): pass", r"judge.py .* cannot be run \(SystemExit: 2\)"),
        ("def f(a, b): pass\nf = 3", "f in judge.py is no function once the file has run"),
    ],
)
def test_a_file_that_cannot_be_run_is_one_sentence(code: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        own_readers(task_of("f", code=code), trusted=True)
