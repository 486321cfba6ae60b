"""Checks, before anything is trained, that generated answers can equal a task's right answers.

Owns the checks of right answers against the task's stops, its `extract`, its metrics and their own tests. Does not know
models.
"""

from __future__ import annotations

from collections.abc import Sequence

from regimen.data.items import Item
from regimen.errors import DataError
from regimen.evaluation import entities
from regimen.evaluation.programs import case_of
from regimen.evaluation.sandbox import judge_many, why_not
from regimen.study.extraction import extracted
from regimen.study.metrics import metric
from regimen.study.tasks import Task

PROGRAMS_RUN = 32  # right answers that are run as programs, a tenth of a second each


def check_gold(name: str, task: Task, items: Sequence[Item]) -> None:
    """Raises DataError naming the first row whose right answer no generated answer could equal."""
    if task.scoring not in ("generation", "execution"):
        return
    reads_entities = any(metric(name).family == "entities" for name in task.metrics)
    for item in items:
        for answer in item.answers:
            where = f"the task {name!r}, row {item.id}: the right answer {_shown(answer)}"
            if stop := _stop_in(task, answer):
                raise DataError(
                    f"{where} holds the stop {stop!r}, where every generated answer is cut, so none could be right; "
                    f'give the task other stops, such as `generation: {{tokens: ..., stop: ["\\n\\n"]}}`, or [] '
                    "for the end of the text alone"
                )
            if reads_entities and not entities.is_readable(answer):
                raise DataError(
                    f'{where} holds no entities that can be read; write it as "{entities.FORM}" ("none" for a '
                    "row without), or take another metric than entity-f1"
                )
    _check_extraction(name, task, items)


def failing_programs(name: str, items: Sequence[Item]) -> tuple[int, int]:
    """(number of right answers that fail their own tests, number that ran): the first PROGRAMS_RUN, in the sandbox.

    (0, 0) on a machine without a sandbox. Raises DataError for a test that can judge no program, and where no right
    answer passes.
    """
    chosen = items[:PROGRAMS_RUN]
    if not chosen or why_not() is not None:
        return 0, 0
    verdicts = judge_many([case_of(item, item.answer) for item in chosen])
    failed = [(item, verdict) for item, verdict in zip(chosen, verdicts, strict=True) if not verdict.passed]
    if len(failed) == len(chosen):
        item, verdict = failed[0]
        raise DataError(
            f"the task {name!r}: none of {len(chosen)} right answers passes its own tests (row {item.id}: "
            f"{verdict.reason}); look at `tests`, `entry` and how the answer follows the prompt"
        )
    return len(failed), len(chosen)


def _check_extraction(name: str, task: Task, items: Sequence[Item]) -> None:
    """Raises DataError where `extract` matches some right answers and not others."""
    if task.extract is None:
        return
    matches = [extracted(task.extract, item.answers[0]) is not None for item in items]
    if any(matches) and not all(matches):
        item = items[matches.index(False)]
        raise DataError(
            f"the task {name!r}, row {item.id}: the right answer {_shown(item.answers[0])} does not match `extract` "
            f"{task.extract!r}, and {sum(matches)} of {len(matches)} do; write the right answers in one way"
        )


def _stop_in(task: Task, answer: str) -> str | None:
    assert task.generation is not None
    return next((stop for stop in task.generation.stop if stop in answer), None)


def _shown(answer: str) -> str:
    return repr(answer if len(answer) <= 60 else f"{answer[:60]}...")
