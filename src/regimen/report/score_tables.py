"""Headline scores by experiment and task in words: for report.md, LaTeX and the figure of changes.

Owns the order of rows and the text of a cell. Does not know statistics beyond the rows'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regimen.analysis.mean_changes import MeanChange
from regimen.report.charts import Matrix
from regimen.report.run_reading import FLOORS, Reading
from regimen.report.words import NOT_YET, number, points
from regimen.study import ZERO_SHOT

MARK = "*"


@dataclass(frozen=True)
class TaskChange:
    """A change against zero-shot on a task."""

    title: str
    change: float


@dataclass(frozen=True)
class LeaderRow:
    """An experiment's mean change, and the tasks of that mean with its largest and smallest change."""

    id: str
    mean: MeanChange
    best: TaskChange
    worst: TaskChange


@dataclass(frozen=True)
class ScoreCell:
    """A headline score in words; `missing` where there is none, `is_clear` where its change is clear of zero."""

    text: str
    missing: bool = False
    is_clear: bool = False


@dataclass(frozen=True)
class ScoreRow:
    """A row's headline scores, a cell a main task; `name` is an experiment, or the words of a line beside them."""

    name: str
    cells: Sequence[ScoreCell]


def has_tests(reading: Reading) -> bool:
    """Whether any cell carries a p-value, so that its mark (or lack of one) means something."""
    return any(row.p_adjusted is not None for row in reading.rows)


def heat_matrix(reading: Reading) -> Matrix | None:
    """The change of every trained experiment on every main task, for a paper."""
    names = [planned.experiment.id for planned in reading.trained]
    if not names:
        return None
    changes = [[reading.change(name, task) for task in reading.tasks] for name in names]
    return Matrix(
        name="change-by-task",
        title="Change against zero-shot by experiment and task",
        alt=f"Change of each headline metric against zero-shot, {len(names)} experiments on {len(reading.tasks)} tasks",
        rows=tuple(names),
        columns=tuple(task.title for task in reading.tasks.values()),
        values=tuple(map(tuple, changes)),
        texts=tuple(
            tuple(_change(reading, name, task, value) for task, value in zip(reading.tasks, row, strict=True))
            for name, row in zip(names, changes, strict=True)
        ),
    )


def _change(reading: Reading, name: str, task: str, change: float | None) -> str:
    row = reading.row(name, task)
    if change is None or row is None:
        return "\u00b7"
    return points(change) + (MARK if reading.is_clear(row) else "")


def leaderboard(reading: Reading) -> list[LeaderRow]:
    """Experiments by their mean change, the largest first."""
    rows = []
    for name, mean in reading.means.items():
        changes = {task: change for task in mean.tasks if (change := reading.change(name, task)) is not None}
        if not changes:
            continue
        ends = (max(changes, key=lambda task: changes[task]), min(changes, key=lambda task: changes[task]))
        best, worst = (TaskChange(reading.tasks[task].title, changes[task]) for task in ends)
        rows.append(LeaderRow(name, mean, best, worst))
    return sorted(rows, key=lambda row: (-row.mean.mean, row.id))


def all_scores(reading: Reading) -> list[ScoreRow]:
    """Every experiment's headline scores; the base first."""
    names = [ZERO_SHOT, *(planned.experiment.id for planned in reading.trained)]
    return [ScoreRow(name, [_score(reading, name, task) for task in reading.tasks]) for name in names]


def _score(reading: Reading, experiment: str, task: str) -> ScoreCell:
    row = reading.row(experiment, task)
    if row is None:
        return ScoreCell("skipped" if reading.skipped(experiment, task) else NOT_YET, missing=True)
    return ScoreCell(number(row.value), is_clear=reading.is_clear(row))


def lines(reading: Reading) -> list[ScoreRow]:
    """The rows beside each task's scores: those that need no language model, then the base's with solved examples."""
    rows = [_line(reading, words, {t: reading.floor(kind, t) for t in reading.tasks}) for kind, words in FLOORS.items()]
    by_shots: dict[int, dict[str, float | None]] = {}
    for task in reading.tasks:
        for row in reading.with_examples(task):
            by_shots.setdefault(row.end.shots or 0, {})[task] = row.value
    rows += [_line(reading, f"the base, {shots}-shot", by_shots[shots]) for shots in sorted(by_shots)]
    return [row for row in rows if any(cell.text for cell in row.cells)]


def _line(reading: Reading, words: str, values: Mapping[str, float | None]) -> ScoreRow:
    known = [values.get(task) for task in reading.tasks]
    return ScoreRow(words, [ScoreCell("" if value is None else number(value)) for value in known])
