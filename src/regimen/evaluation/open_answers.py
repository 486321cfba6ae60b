"""Reads generated answers with a task's metrics: answers just written, or those of an earlier evaluation.

Owns what is noted of an open answer by its metrics, and the taking up of saved answers, so that another metric needs no
new generation. Does not know models or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regimen.data.items import Item
from regimen.evaluation.entities import types_of as entity_types
from regimen.evaluation.item_results import ItemResult
from regimen.evaluation.own_metrics import without_faults
from regimen.evaluation.readers import Answer, Reader, counts_of, read
from regimen.study.extraction import extracted
from regimen.study.tasks import Task

UNENDED = "no stop within the limit of new tokens"


@dataclass(frozen=True)
class SavedAnswer:
    """The row of one item in an earlier evaluation, without the columns of its metrics."""

    item_id: str
    prompt_hash: str
    text: str
    truncated: bool
    failed: bool
    detail: str
    nats: float
    bytes: int
    tokens: int
    shots: int


def note_readings(
    task: Task, items: Sequence[Item], results: Sequence[Sequence[ItemResult]], own: Mapping[str, Reader]
) -> None:
    """Notes what each metric reads; prediction, target and score are the headline's, whatever stands beside it.

    `results` holds the rows of each adapter, `own` the readers of the study's own metrics.
    """
    types = entity_types(answer for item in items for answer in item.answers)
    for rows in results:
        for item, result in zip(items, rows, strict=True):
            _note(task, item, result, types, own)


def _note(task: Task, item: Item, result: ItemResult, types: frozenset[str], own: Mapping[str, Reader]) -> None:
    whole, rights = result.text or "", item.answers
    text: str | None = whole
    if task.extract is not None:
        text = extracted(task.extract, whole)
        parts = [extracted(task.extract, right) for right in rights]
        rights = tuple(right if part is None else part for right, part in zip(rights, parts, strict=True))
        result.target = rights[0]
    readings = read(task.metrics, Answer(text, rights, result.nats, result.bytes, types, item.id, whole), own)
    headline = readings[task.headline]
    result.score, result.target = headline.value, headline.target or result.target
    if not result.failed:
        result.prediction = headline.prediction
        result.failed = headline.prediction is None or bool(headline.fault)
    result.values = {name: reading.value for name, reading in readings.items()}
    faults = [reading.fault for reading in readings.values() if reading.fault]
    result.detail = "; ".join([*([result.detail] if result.detail else []), *faults])
    for column, counts in counts_of(readings).items():
        setattr(result, column, counts)


def taken_up(items: Sequence[Item], saved: Sequence[SavedAnswer]) -> list[ItemResult] | None:
    """The rows of saved answers as they were before any metric read them; None where they are of other items."""
    if [item.id for item in items] != [one.item_id for one in saved]:
        return None
    return [_unread(item, one) for item, one in zip(items, saved, strict=True)]


def _unread(item: Item, saved: SavedAnswer) -> ItemResult:
    """A row that failed without a word, or at the limit of tokens, failed by what a metric read in it."""
    detail = without_faults(saved.detail)
    result = ItemResult(item.id, item.cluster, saved.prompt_hash, item.answer.strip(), text=saved.text, detail=detail)
    result.failed = saved.failed and detail not in ("", UNENDED)
    result.truncated, result.shots = saved.truncated, saved.shots
    result.nats, result.bytes, result.tokens = saved.nats, saved.bytes, saved.tokens
    return result
