"""Headline scores by experiment and task in words: for report.md, LaTeX and the figure of changes.

Owns the order of rows and the text of a cell. Does not know statistics beyond the rows'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regimen.analysis.mean_changes import MeanChange
from regimen.analysis.recipe_scores import RecipeScore
from regimen.report.charts import Matrix
from regimen.report.run_reading import FLOORS, Reading
from regimen.report.words import NOT_YET, number, points, span
from regimen.study import ZERO_SHOT

MARK = "*"


@dataclass(frozen=True)
class TaskChange:
    """A change against zero-shot on a task."""

    title: str
    change: float


@dataclass(frozen=True)
class LeaderRow:
    """A recipe's mean change, and the tasks of that mean with its largest and smallest change, over all its runs."""

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
    """A row's headline scores, a cell a main task; `name` is a recipe, or the words of a line beside them."""

    name: str
    cells: Sequence[ScoreCell]


def has_tests(reading: Reading) -> bool:
    """Whether any cell carries a p-value, so that its mark (or lack of one) means something."""
    return any(row.p_adjusted is not None for row in reading.rows)


def heat_matrix(reading: Reading) -> Matrix | None:
    """The change of every trained recipe on every main task, for a paper; of several runs the mean."""
    names = list(reading.runs)
    if not names:
        return None
    changes = [[reading.recipe_change(name, task) for task in reading.tasks] for name in names]
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
    row = reading.recipe_row(name, task)
    if change is None:
        return "\u00b7"
    over = reading.over_runs.get((name, task))
    clear = _excludes_zero(over) if over else row is not None and reading.is_clear(row)
    return points(change) + (MARK if clear else "")


def _excludes_zero(over: RecipeScore) -> bool:
    """Whether the change of a recipe of several runs is clear of zero, over items and seeds."""
    return over.change_low is not None and over.change_high is not None and not over.change_low <= 0 <= over.change_high


def leaderboard(reading: Reading) -> list[LeaderRow]:
    """Recipes by their mean change, the largest first."""
    rows = []
    for name, mean in reading.means.items():
        changes = {task: change for task in mean.tasks if (change := reading.recipe_change(name, task)) is not None}
        if not changes:
            continue
        ends = (max(changes, key=lambda task: changes[task]), min(changes, key=lambda task: changes[task]))
        best, worst = (TaskChange(reading.tasks[task].title, changes[task]) for task in ends)
        rows.append(LeaderRow(name, mean, best, worst))
    return sorted(rows, key=lambda row: (-row.mean.mean, row.id))


def all_scores(reading: Reading) -> list[ScoreRow]:
    """Every recipe's headline scores, of several runs the mean with its interval; the base first."""
    rows = [ScoreRow(ZERO_SHOT, [_score(reading, ZERO_SHOT, task) for task in reading.tasks])]
    for recipe, runs in reading.runs.items():
        name = f"{recipe} ({len(runs)} runs)" if len(runs) > 1 else recipe
        rows.append(ScoreRow(name, [_score(reading, recipe, task) for task in reading.tasks]))
    return rows


def _score(reading: Reading, experiment: str, task: str) -> ScoreCell:
    if over := reading.over_runs.get((experiment, task)):
        return ScoreCell(f"{number(over.value)} [{span(over.low, over.high)}]", is_clear=_excludes_zero(over))
    row = reading.recipe_row(experiment, task)
    if row is None:
        return ScoreCell("skipped" if reading.skipped(experiment, task) else NOT_YET, missing=True)
    return ScoreCell(number(row.value), is_clear=reading.is_clear(row))


def lines(reading: Reading) -> list[ScoreRow]:
    """The rows beside each task's scores: those that need no language model, the base's with solved examples, adapters
    as they were given, and other systems' answers."""
    rows = [_line(reading, words, {t: reading.floor(kind, t) for t in reading.tasks}) for kind, words in FLOORS.items()]
    by_shots: dict[int, dict[str, float | None]] = {}
    for task in reading.tasks:
        for row in reading.with_examples(task):
            by_shots.setdefault(row.end.shots or 0, {})[task] = row.value
    rows += [_line(reading, f"the base, {shots}-shot", by_shots[shots]) for shots in sorted(by_shots)]
    beside = [planned.experiment.id for planned in reading.plan.experiments if planned.experiment.is_given]
    beside += dict.fromkeys(row.experiment for row in reading.rows if row.external)
    for name in beside:
        there = {task: row.value for task in reading.tasks if (row := reading.row(name, task))}
        rows.append(_line(reading, name, there))
    return [row for row in rows if any(cell.text for cell in row.cells)]


def _line(reading: Reading, words: str, values: Mapping[str, float | None]) -> ScoreRow:
    known = [values.get(task) for task in reading.tasks]
    return ScoreRow(words, [ScoreCell("" if value is None else number(value)) for value in known])
