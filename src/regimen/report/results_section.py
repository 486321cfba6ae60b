"""Results: every score in one table, with the scores that need no training beside them.

Owns the rows and columns of the table, as data for the page's script and as plain HTML for print. Does not know
statistics: each number is that of results.csv or of the findings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from statistics import fmean
from typing import Any

from markupsafe import Markup

from regimen.analysis.results_table import ResultRow
from regimen.plan import PlannedExperiment
from regimen.report.html_page import render
from regimen.report.recipe_records import recipe_records
from regimen.report.run_reading import FLOORS, Reading
from regimen.report.section import Section
from regimen.report.tints import STEPS, largest_of, tint
from regimen.report.words import number, signed
from regimen.results import better_sign
from regimen.results.external import is_external
from regimen.study import ZERO_SHOT

Column = list[float | None]


@dataclass(frozen=True)
class TableRow:
    """A row: an experiment, or ("pinned") what experiments are held against; None where it does not apply.

    A recipe of several `runs` has a row of its own, with their mean; the rows of its runs follow, each `of` it.
    """

    id: str
    title: str
    pinned: bool = False
    strategy: str = ""
    phase: str = ""
    mixture: str = ""
    steps: int | None = None
    hours: float | None = None
    mean: float | None = None
    mean_low: float | None = None
    mean_high: float | None = None
    seed: int | None = None
    runs: int = 0
    of: str = ""


@dataclass(frozen=True)
class Scores:
    """A metric of a task by row: value with interval, items, and the change against zero-shot (up is better).

    `p` is corrected over the grid; `alone` the value without test items that have near twins in training sources;
    `why` says of each row without a value why.
    """

    value: Column
    low: Column
    high: Column
    n: Column
    change: Column
    change_low: Column
    change_high: Column
    p: Column
    alone: Column
    why: Sequence[str]


def results_section(reading: Reading) -> Section:
    """The section."""
    rows, scores = table_rows(reading), score_columns(reading)
    tasks = [
        {
            "id": name,
            "title": task.title,
            "group": task.group,
            "panel": task.panel,
            "metrics": [{"name": metric, "lower": better_sign(metric) < 0} for metric in scores[name]],
        }
        for name, task in reading.plan.study.tasks.items()
        if name in scores
    ]
    table = {"tasks": tasks, "rows": rows, "scores": scores, "alpha": reading.findings.method.alpha, "steps": STEPS}
    return Section(
        name="results",
        title="Results",
        html=_still(reading, rows, scores),
        blocks={"results": table, "recipes": recipe_records(reading)},
        script="results.js",
        libraries=("tabulator",),
    )


def table_rows(reading: Reading) -> list[TableRow]:
    """What experiments are held against first, then every trained experiment in the plan's order."""
    shots = sorted({row.end.shots for row in reading.rows if row.end.shots})
    rows = [TableRow(ZERO_SHOT, "Zero-shot", pinned=True, strategy="as it is")]
    rows += [TableRow(f"{n}-shot", f"{n}-shot", pinned=True, strategy=f"{n} examples") for n in shots]
    for name, title in FLOORS.items():
        if any(getattr(floor, name) for floor in reading.floors.values()):
            about = "word counts" if name == "tfidf" else "no model"
            rows.append(TableRow(name, title[:1].upper() + title[1:], pinned=True, strategy=about))
    given = [planned.experiment for planned in reading.plan.experiments if planned.experiment.is_given]
    rows += [TableRow(one.id, one.title, pinned=True, strategy="an adapter as it was given") for one in given]
    others = dict.fromkeys(row.experiment for row in reading.rows if row.external)
    rows += [TableRow(name, name, pinned=True, strategy="another system's answers") for name in others]
    for recipe, runs in reading.runs.items():
        if len(runs) > 1:
            rows.append(_row(reading, runs[0], id=recipe, runs=len(runs)))
            rows += [_row(reading, run, of=recipe, mean=None, mean_low=None, mean_high=None) for run in runs]
        else:
            rows.append(_row(reading, runs[0]))
    return rows


def _row(reading: Reading, planned: PlannedExperiment, **changed: Any) -> TableRow:
    """An experiment's row; `changed` are its fields that stand for something else."""
    experiment, mean = planned.experiment, reading.means.get(planned.experiment.id)
    row = TableRow(
        id=experiment.id,
        title=experiment.title,
        strategy=reading.strategy[experiment.id],
        phase=experiment.phase,
        mixture=", then ".join(" + ".join(_parts(leg.shares)) for leg in experiment.legs),
        steps=planned.steps,
        hours=planned.gpu_hours,
        mean=mean.mean if mean else None,
        mean_low=mean.low if mean else None,
        mean_high=mean.high if mean else None,
        seed=reading.plan.study.seed_of(experiment),
    )
    return replace(row, **changed)


def _parts(shares: Mapping[str, float]) -> Iterator[str]:
    for source, share in shares.items():
        yield source if share == 1 else f"{100 * share:.3g}% {source}"


def score_columns(reading: Reading) -> dict[str, dict[str, Scores]]:
    """Task -> metric -> its column, the headline first; tasks that nothing was or will be scored on are left out."""
    rows = table_rows(reading)
    found: dict[str, dict[str, Scores]] = {}
    for name, task in reading.plan.study.tasks.items():
        there = {row.metric for row in reading.rows if row.task == name}
        for metric in [one for one in task.metrics if one in there or (one == task.headline and task.panel == "main")]:
            cells = [_numbers(reading, row, name, metric) for row in rows]
            columns = {one.name: [getattr(cell, one.name) for cell in cells] for one in fields(Scores)}
            found.setdefault(name, {})[metric] = Scores(**columns)
    return found


@dataclass(frozen=True)
class Numbers:
    """A cell of `Scores`."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: float | None = None
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    p: float | None = None
    alone: float | None = None
    why: str = ""


def _numbers(reading: Reading, row: TableRow, task: str, metric: str) -> Numbers:
    """A row's numbers, with six significant digits, which are more than the page ever shows."""
    if row.id in FLOORS:
        found = _floor(reading, row.id, task, metric)
    elif row.runs:
        found = _over_runs(reading, row, task, metric)
    else:
        found = _of_row(reading, row, task, metric)
    if found.value is None:
        found = replace(found, why=_why(reading, row, task))
    numbers = {one.name: getattr(found, one.name) for one in fields(found) if one.name != "why"}
    return Numbers(**{name: _short(value) for name, value in numbers.items()}, why=found.why)


def _floor(reading: Reading, kind: str, task: str, metric: str) -> Numbers:
    """A score without a model; it has no interval."""
    value, zero = reading.floor(kind, task, metric), _zero(reading, ZERO_SHOT, task, metric)
    return Numbers(value, change=better_sign(metric) * (value - zero.value) if value is not None and zero else None)


def _over_runs(reading: Reading, row: TableRow, task: str, metric: str) -> Numbers:
    """A recipe's mean over its runs; metrics beside the headline have no interval, and the grid tests single runs."""
    over = reading.over_runs.get((row.id, task)) if metric == reading.plan.study.tasks[task].headline else None
    if over:
        moved = over.change, over.change_low, over.change_high
        return Numbers(over.value, over.low, over.high, over.items, *moved)
    names = [run.experiment.id for run in reading.runs[row.id]]
    there = [cell for name in names if (cell := reading.by_cell.get((name, task, metric)))]
    return Numbers(fmean(cell.value for cell in there)) if there else Numbers()


def _of_row(reading: Reading, row: TableRow, task: str, metric: str) -> Numbers:
    """The numbers of a row of results.csv; changes are turned so that up is better."""
    cell, sign = _cell(reading, row, task, metric), better_sign(metric)
    if cell is None:
        return Numbers()
    found = Numbers(cell.value, cell.ci_low, cell.ci_high, cell.n, p=cell.p_adjusted)
    found = replace(found, alone=reading.without_twins(row.id, task, metric))
    if cell.delta is None or row.id == ZERO_SHOT:
        return found
    ends = sorted(sign * end for end in (cell.delta_ci_low, cell.delta_ci_high) if end is not None)
    low, high = ends if len(ends) == 2 else (None, None)
    return replace(found, change=sign * cell.delta, change_low=low, change_high=high)


def _cell(reading: Reading, row: TableRow, task: str, metric: str) -> ResultRow | None:
    """The row of results.csv that a cell shows."""
    if not row.pinned or is_external(row.id) or row.id in reading.planned:
        return reading.by_cell.get((row.id, task, metric))
    return _zero(reading, row.id, task, metric)


def _zero(reading: Reading, row: str, task: str, metric: str) -> ResultRow | None:
    """The base's own row, as it is or ("5-shot") with examples."""
    zero = reading.tables.zero_shot(task)
    if zero is None:
        return None
    return reading.by_cell.get((zero.experiment if row == ZERO_SHOT else f"{zero.experiment}:{row}", task, metric))


def _short(value: float | None) -> float | None:
    """Six significant digits are more than the page ever shows."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def _why(reading: Reading, row: TableRow, task: str) -> str:
    """Why a cell holds no score; "" where none belongs there."""
    if row.pinned and row.id != ZERO_SHOT:
        return ""
    name = row.id
    if name == ZERO_SHOT:
        zero = reading.tables.zero_shot(task)
        name = zero.experiment if zero else name
    if skipped := reading.skipped(name, task):
        return f"skipped: {skipped}"
    planned = reading.planned.get(name)
    if planned is not None and not any(one.key == task for one in planned.all_evaluations):
        return ""
    cell = reading.tables.cells.get((name, task))
    return "no value" if cell else "not yet"


@dataclass(frozen=True)
class StillCell:
    """A cell of the plain table: its text, its colour class and whether the change is clear."""

    text: str
    tint: str
    clear: bool


def _still(reading: Reading, rows: Sequence[TableRow], scores: Mapping[str, Mapping[str, Scores]]) -> Markup:
    tasks = {name: task for name, task in reading.tasks.items() if name in scores}
    columns = [scores[name][task.headline] for name, task in tasks.items()]
    largest = largest_of(change for one in columns for change in one.change)
    alpha = reading.findings.method.alpha
    lines = [
        (
            row,
            signed(row.mean) if row.mean is not None else "",
            [_still_cell(one, at, largest, alpha) for one in columns],
        )
        for at, row in enumerate(rows)
        if not row.of  # runs fold away behind their recipe; results.csv has each
    ]
    return Markup(render("results.html.jinja", {"tasks": tasks, "lines": lines, "alpha": alpha, "steps": STEPS}))


def _still_cell(column: Scores, at: int, largest: float, alpha: float) -> StillCell:
    value, change, p = column.value[at], column.change[at], column.p[at]
    text = number(value) if value is not None else column.why[at].split(":")[0]
    return StillCell(text, tint(change, largest), p is not None and p <= alpha)
