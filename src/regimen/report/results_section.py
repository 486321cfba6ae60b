"""Results: every score in one table, with the scores that need no training beside them.

Owns the rows and columns of the table, as data for the page's script and as plain HTML for print. Does not know
statistics: each number is that of results.csv or of the findings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from regimen.analysis.results_table import ResultRow
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
    """A row: an experiment, or ("pinned") what experiments are held against; None where it does not apply."""

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
    others = dict.fromkeys(row.experiment for row in reading.rows if row.external)
    rows += [TableRow(name, name, pinned=True, strategy="another system's answers") for name in others]
    for planned in reading.trained:
        experiment, mean = planned.experiment, reading.means.get(planned.experiment.id)
        rows.append(
            TableRow(
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
            )
        )
    return rows


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
            cells = [_cell(reading, row, name, metric) for row in rows]
            plain = [reading.floor(row.id, name, metric) if row.id in FLOORS else None for row in rows]
            found.setdefault(name, {})[metric] = _column(reading, rows, cells, plain, name, metric)
    return found


def _cell(reading: Reading, row: TableRow, task: str, metric: str) -> ResultRow | None:
    """The row of results.csv that a cell shows."""
    if not row.pinned or is_external(row.id):
        return reading.by_cell.get((row.id, task, metric))
    zero = reading.tables.zero_shot(task)
    if zero is None:
        return None
    return reading.by_cell.get(
        (zero.experiment if row.id == ZERO_SHOT else f"{zero.experiment}:{row.id}", task, metric)
    )


def _column(
    reading: Reading,
    rows: Sequence[TableRow],
    cells: Sequence[ResultRow | None],
    plain: Sequence[float | None],
    task: str,
    metric: str,
) -> Scores:
    sign = better_sign(metric)

    zero = next((cell.value for row, cell in zip(rows, cells, strict=True) if cell and row.id == ZERO_SHOT), None)

    def turned(
        row: TableRow, cell: ResultRow | None, floor: float | None
    ) -> tuple[float | None, float | None, float | None]:
        """The change and its interval, up is better; a score without a model has no interval."""
        if floor is not None and zero is not None:
            return sign * (floor - zero), None, None
        if cell is None or cell.delta is None or row.id == ZERO_SHOT:
            return None, None, None
        ends = sorted(sign * end for end in (cell.delta_ci_low, cell.delta_ci_high) if end is not None)
        low, high = ends if len(ends) == 2 else (None, None)
        return sign * cell.delta, low, high

    changes = [turned(*one) for one in zip(rows, cells, plain, strict=True)]
    values = [cell.value if cell else floor for cell, floor in zip(cells, plain, strict=True)]
    return Scores(
        value=[_short(value) for value in values],
        low=[_short(cell.ci_low) if cell else None for cell in cells],
        high=[_short(cell.ci_high) if cell else None for cell in cells],
        n=[cell.n if cell else None for cell in cells],
        change=[_short(change) for change, _, _ in changes],
        change_low=[_short(low) for _, low, _ in changes],
        change_high=[_short(high) for _, _, high in changes],
        p=[_short(cell.p_adjusted) if cell else None for cell in cells],
        alone=[_short(reading.without_twins(row.id, task, metric)) for row in rows],
        why=["" if value is not None else _why(reading, row, task) for row, value in zip(rows, values, strict=True)],
    )


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
    ]
    return Markup(render("results.html.jinja", {"tasks": tasks, "lines": lines, "alpha": alpha, "steps": STEPS}))


def _still_cell(column: Scores, at: int, largest: float, alpha: float) -> StillCell:
    value, change, p = column.value[at], column.change[at], column.p[at]
    text = number(value) if value is not None else column.why[at].split(":")[0]
    return StillCell(text, tint(change, largest), p is not None and p <= alpha)
