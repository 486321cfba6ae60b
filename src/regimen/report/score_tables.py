"""Scores by experiment and task: the heat map, the leaderboard, all headline scores.

Owns the text of a cell: a change with its mark, "skipped", or "not yet". Does not know statistics beyond the rows'.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from regimen.report.charts import Matrix
from regimen.report.run_reading import Reading
from regimen.report.tinted_cells import TintedCell, largest_of, tinted
from regimen.report.words import NOT_YET, anchor, interval, number, points, probability, span
from regimen.results.floors import floors_of
from regimen.study import ZERO_SHOT

MARK = "*"
LINES = (("majority", "most frequent class"), ("chance", "chance"), ("tfidf", "TF-IDF, trained"))


@dataclass(frozen=True)
class HeatRow:
    """An experiment's changes against zero-shot, a cell for each main task."""

    id: str
    title: str
    phase: str
    cells: Sequence[TintedCell]


@dataclass(frozen=True)
class TaskChange:
    """A change against zero-shot on a task."""

    task: str
    title: str
    change: float


@dataclass(frozen=True)
class LeaderRow:
    """An experiment's mean change over `tasks` main tasks, and on how many it is clearly better or worse."""

    id: str
    phase: str
    mean: float
    tasks: int
    better: int
    worse: int
    best: TaskChange
    worst: TaskChange
    steps: int
    hours: float


@dataclass(frozen=True)
class ScoreCell:
    """A headline score in words, with its interval."""

    group: str
    text: str
    interval: str = ""
    missing: bool = False
    is_clear: bool = False
    link: str = ""


@dataclass(frozen=True)
class ScoreRow:
    """An experiment's headline scores; `phase` is "" for the base, which belongs to none."""

    id: str
    phase: str
    steps: int
    cells: Sequence[ScoreCell]


@dataclass(frozen=True)
class LineRow:
    """Scores to hold the experiments' against, named by `words`; a cell without one is empty."""

    words: str
    cells: Sequence[ScoreCell]


def heat(reading: Reading) -> list[HeatRow]:
    """A row a trained experiment; a cell a task."""
    names = [planned.experiment.id for planned in reading.trained]
    largest = largest_of(reading.change(name, task) for name in names for task in reading.tasks)
    return [
        HeatRow(
            planned.experiment.id,
            planned.experiment.title,
            planned.experiment.phase,
            [_cell(reading, planned.experiment.id, task, largest) for task in reading.tasks],
        )
        for planned in reading.trained
    ]


def _cell(reading: Reading, experiment: str, task: str, largest: float) -> TintedCell:
    row, change = reading.row(experiment, task), reading.change(experiment, task)
    words, says, mark = NOT_YET, "not yet", ""
    if skipped := reading.skipped(experiment, task):
        words, says = "skipped", f"skipped: {skipped}"
    elif row is not None and change is None:
        words, says = "no base", f"{row.metric} {number(row.value)}; zero-shot is not there yet"
    elif row is not None and change is not None:
        words, mark = points(change), MARK if reading.is_clear(row) else ""
        low, high = row.delta_ci_low, row.delta_ci_high
        parts = [f"{row.metric} {number(row.value)}, zero-shot {number(row.baseline)}", f"n = {row.n}"]
        parts += [f"change {interval(low, high)}"] if interval(low, high) else []
        parts += [f"adjusted p {probability(row.p_adjusted)}"] if row.p_adjusted is not None else []
        says = "; ".join(parts)
    link = anchor(experiment, task) if row is not None else anchor(experiment)
    return tinted(change, largest, words, says, mark=mark, link=link, group=reading.tasks[task].group)


def has_tests(reading: Reading) -> bool:
    """Whether any cell carries a p-value, so that its mark (or lack of one) means something."""
    return any(row.p_adjusted is not None for row in reading.rows)


def heat_matrix(reading: Reading, rows: Sequence[HeatRow]) -> Matrix | None:
    """The heat map for a paper."""
    if not rows:
        return None
    return Matrix(
        name="change-by-task",
        title="Change against zero-shot by experiment and task",
        alt=f"Change of each headline metric against zero-shot, {len(rows)} experiments on {len(reading.tasks)} tasks",
        rows=tuple(row.id for row in rows),
        columns=tuple(task.title for task in reading.tasks.values()),
        values=tuple(tuple(cell.change for cell in row.cells) for row in rows),
        texts=tuple(tuple("·" if cell.change is None else cell.text + cell.mark for cell in row.cells) for row in rows),
    )


def leaderboard(reading: Reading) -> list[LeaderRow]:
    """Experiments by their mean change over the main tasks that have both values, best first."""
    rows = []
    for planned in reading.trained:
        name = planned.experiment.id
        changes = {task: change for task in reading.tasks if (change := reading.change(name, task)) is not None}
        if not changes:
            continue
        best, worst = (
            TaskChange(task, reading.tasks[task].title, changes[task])
            for task in (max(changes, key=lambda task: changes[task]), min(changes, key=lambda task: changes[task]))
        )
        clear = [task for task in changes if (row := reading.row(name, task)) and reading.is_clear(row)]
        rows.append(
            LeaderRow(
                id=name,
                phase=planned.experiment.phase,
                mean=statistics.fmean(changes.values()),
                tasks=len(changes),
                better=sum(changes[task] > 0 for task in clear),
                worse=sum(changes[task] < 0 for task in clear),
                best=best,
                worst=worst,
                steps=planned.steps,
                hours=planned.gpu_hours,
            )
        )
    return sorted(rows, key=lambda row: (-row.mean, row.id))


def all_scores(reading: Reading) -> list[ScoreRow]:
    """Every experiment's headline scores with their intervals; the base first."""
    named = [(ZERO_SHOT, reading.base_phase, 0)]
    named += [(p.experiment.id, p.experiment.phase, p.steps) for p in reading.trained]
    return [
        ScoreRow(name, phase, steps, [_score(reading, name, task) for task in reading.tasks])
        for name, phase, steps in named
    ]


def _score(reading: Reading, experiment: str, task: str) -> ScoreCell:
    row, group = reading.row(experiment, task), reading.tasks[task].group
    if row is None:
        words = "skipped" if reading.skipped(experiment, task) else NOT_YET
        return ScoreCell(group, words, missing=True, link=anchor(experiment))
    clear = reading.is_clear(row)
    return ScoreCell(
        group, number(row.value), span(row.ci_low, row.ci_high), is_clear=clear, link=anchor(experiment, task)
    )


def lines(reading: Reading) -> list[LineRow]:
    """The rows beside each task's scores, "" where undefined.

    First the scores that need no language model, then the base's own with solved examples before each question.
    """
    known = {task: floors_of(reading.plan, reading.tables.outcomes, task) for task in reading.tasks}
    rows = []
    for name, words in LINES:
        values = {
            task: getattr(floors, name).get(reading.tasks[task].headline) for task, floors in known.items() if floors
        }
        row = _line(reading, words, values)
        if any(cell.text for cell in row.cells):
            rows.append(row)
    return rows + _with_examples(reading)


def _line(reading: Reading, words: str, values: dict[str, float | None]) -> LineRow:
    known = {task: number(value) for task, value in values.items() if value is not None}
    return LineRow(words, [ScoreCell(shape.group, known.get(task, "")) for task, shape in reading.tasks.items()])


def _with_examples(reading: Reading) -> list[LineRow]:
    """A row for each number of examples that the base was given."""
    by_shots: dict[int, dict[str, float | None]] = {}
    for row in reading.rows:
        if row.end.shots and row.primary:
            by_shots.setdefault(row.end.shots, {})[row.task] = row.value
    return [_line(reading, f"the base, {shots}-shot", values) for shots, values in by_shots.items()]
