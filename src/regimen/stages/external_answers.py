"""Puts the answers of another system into a run folder, as a row beside its models; writes out what it is to be asked.

Owns the way from a file of answers to the row. Does not know how answers are read, nor commands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from regimen.data.items import Item, read_items
from regimen.errors import RunFolderError, UsageError
from regimen.evaluation.given_answers import (
    UNANSWERED,
    answered_metrics,
    check_answerable,
    prompts_of,
    read_answers,
    score_answers,
)
from regimen.evaluation.item_results import result_columns
from regimen.plan import Plan
from regimen.results import RunFolder, aggregate, layout
from regimen.results.external import ExternalRow, items_of, write_external
from regimen.study import unknown_name
from regimen.study.values import Name


def asked_items(folder: RunFolder, plan: Plan, task: str) -> Iterator[dict[str, object]]:
    """What to send another system, an object an item; raises UsageError where the task has no answers."""
    items = _items(folder, plan, task)
    return prompts_of(plan.study.tasks[task], items)


def score_file(
    folder: RunFolder, plan: Plan, task: str, path: Path, name: str, *, trust_code: bool = False, parallel: int = 1
) -> ExternalRow:
    """Scores a file of answers and puts the row into the run folder; nothing is written before all of it is read.

    Raises UsageError for a task or name that cannot be, RunFolderError where the items are not there, DataError for
    faults of the file.
    """
    _check_name(plan, name)
    items = _items(folder, plan, task)
    given = read_answers(path, task, items)
    shape = plan.study.tasks[task]
    scores = score_answers(shape, items, given, trust_code=trust_code, parallel=parallel)
    columns = result_columns(task, scores.rows) | {"twin": [item.twin for item in items]}
    metrics = {name: None for name in shape.metrics} | aggregate(answered_metrics(shape), columns)
    row = ExternalRow(
        name=name,
        task=task,
        items=items_of(plan)[task],
        count=len(items),
        metrics={one: None if value is None or math.isnan(value) else value for one, value in metrics.items()},
        unread=sum(row.failed and row.detail != UNANSWERED for row in scores.rows),
        unanswered=sum(answer is None for answer in given.values()),
        cut=scores.cut,
        file=path.name,
        digest=folder.digests.of(path),
    )
    write_external(folder.path, row, columns)
    return row


def _items(folder: RunFolder, plan: Plan, task: str) -> list[Item]:
    """The items that models answer; raises UsageError for a task without answers, RunFolderError if not rendered."""
    if task not in plan.study.tasks:
        raise unknown_name("task", task, plan.study.tasks)
    check_answerable(task, plan.study.tasks[task])
    stage = items_of(plan).get(task)
    if stage is None:
        raise UsageError(f"{folder.path} was run without the task {task!r}; run it with that task first")
    if folder.outcome(plan.stages[stage]) is None:
        raise RunFolderError(f"{folder.path} has no test items of {task!r} yet; run the study first")
    return read_items(folder.folder(plan.stages[stage]).path / layout.ITEMS)


def _check_name(plan: Plan, name: str) -> None:
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise UsageError(
            f"{name!r} cannot be the name of a row; give --name with small letters, digits, dots and dashes alone"
        ) from None
    row = f"external~{name}"
    if any(planned.experiment.id == row for planned in plan.experiments):
        raise UsageError(f"the study has an experiment {row!r}; give another --name")
