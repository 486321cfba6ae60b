"""The public table of results: tidy rows joined with their statistics.

Owns the columns ci_low to p_adjusted of results.csv. Intervals are given for every metric; p-values for each task's
headline metric alone, one test a cell, so that the correction is over one grid. Does not know figures.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING

from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import Grid, exploratory_grid
from regimen.analysis.statistics.resampling import Resampled
from regimen.plan import Plan
from regimen.results import RunFolder
from regimen.results.tables import COLUMNS, MetricRow, RunColumns, RunTables
from regimen.study import EndPoint

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ResultRow(RunColumns):
    """A row of results.csv: an experiment's value of a task's metric; None where there is nothing to say.

    `delta` and its interval are in the metric's units, not turned: below zero is better for bits per byte. `p_value`
    and `p_adjusted` are the exploratory grid's.
    """

    experiment: str
    phase: str
    task: str
    group: str
    metric: str
    value: float
    ci_low: float | None = None
    ci_high: float | None = None
    n: int
    baseline: float | None
    delta: float | None
    delta_ci_low: float | None = None
    delta_ci_high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    primary: bool
    adapter: str

    @property
    def end(self) -> EndPoint:
        """The end point that `experiment` names."""
        return EndPoint.parse(self.experiment)


def results_table(folder: RunFolder, plan: Plan) -> pd.DataFrame:
    """The columns of results.csv."""
    import pandas as pd

    evidence = Evidence(RunTables(folder, plan))
    return pd.DataFrame(map(asdict, result_rows(evidence, exploratory_grid(evidence))), columns=list(COLUMNS))


def result_rows(evidence: Evidence, grid: Grid) -> list[ResultRow]:
    """The rows of results.csv with statistics; `grid` is the exploratory grid of the same evidence."""
    names = [one.name for one in fields(MetricRow)]
    rows = [ResultRow(**{name: getattr(row, name) for name in names}) for row in evidence.tables.rows()]
    for task, metric in sorted({(row.task, row.metric) for row in rows}):
        evidence.metric_values(task, metric)  # the draws of every metric, one after another; intervals only read them
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:  # numpy sorts without Python's lock
        return list(pool.map(partial(_with_statistics, evidence, grid), rows))


def _with_statistics(evidence: Evidence, grid: Grid, row: ResultRow) -> ResultRow:
    values = evidence.metric_values(row.task, row.metric)
    value, zero = values.get(row.experiment), values.get(evidence.zero_shot_name(row.experiment, row.task))
    if value is None:
        return row
    low, high = _ends(value)
    row = replace(row, ci_low=low, ci_high=high)
    if zero is None or value is zero:
        return row
    low, high = _ends(value - zero)
    cell = grid.get((row.experiment, row.task)) if row.primary else None
    tested = (cell.p, cell.p_adjusted) if cell else (None, None)
    return replace(row, delta_ci_low=low, delta_ci_high=high, p_value=tested[0], p_adjusted=tested[1])


def _ends(number: Resampled) -> tuple[float, float]:
    interval = number.interval()
    return interval.low, interval.high
