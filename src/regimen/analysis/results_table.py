"""The public table of results: tidy rows joined with their statistics.

Owns the columns ci_low to p_adjusted of results.csv. Intervals are given for every metric; p-values for each task's
headline metric alone, one test a cell, so that the correction is over one grid. Does not know figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regimen.analysis.evidence import Evidence
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.resampling import Resampled
from regimen.plan import Plan
from regimen.results import RunFolder
from regimen.results.tables import COLUMNS, RunTables
from regimen.study import ZERO_SHOT

if TYPE_CHECKING:
    import pandas as pd


def results_table(folder: RunFolder, plan: Plan) -> pd.DataFrame:
    """The columns of results.csv."""
    import pandas as pd

    return pd.DataFrame(result_rows(RunTables(folder, plan)), columns=list(COLUMNS))


def result_rows(source: RunTables | Evidence, rules: Rules | None = None) -> list[dict[str, Any]]:
    """The rows of results.csv with statistics; None where there is nothing to say.

    `delta` and its interval are in the metric's units, not turned: below zero is better for bits per byte.
    """
    evidence = Evidence.of(source, rules)
    rows = evidence.tables.rows()
    grid = evidence.grid
    for row in rows:
        end, task, metric = row["experiment"], row["task"], row["metric"]
        values = evidence.metric_values(task, metric)
        value, zero = values.get(end), values.get(evidence.name_of(ZERO_SHOT, task))
        if value is None:
            continue
        row["ci_low"], row["ci_high"] = _ends(value)
        if zero is None or value is zero:
            continue
        row["delta_ci_low"], row["delta_ci_high"] = _ends(value - zero)
        if row["primary"] and (end, task) in grid:
            row["p_value"], row["p_adjusted"] = grid[end, task].p, grid[end, task].p_adjusted
    return rows


def _ends(number: Resampled) -> tuple[float, float]:
    interval = number.interval()
    return interval.low, interval.high
