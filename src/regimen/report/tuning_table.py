"""The learning rates that were chosen: every candidate, the choice and its cost, as a table and as tuning.csv.

Owns their columns and the sentence on cost. Does not know how a choice is made.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from regimen.report.plain_table import PlainCell, PlainTable
from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, hours
from regimen.results.tuning import TuningRow, tuning_rows

COLUMNS = ("experiment", "learning rate", "trained to step", "validation loss", "place", "result", "steps", "GPU-hours")


@dataclass(frozen=True)
class Tunings:
    """The table, and what choosing cost in a sentence."""

    table: PlainTable
    cost: str


def tunings(reading: Reading) -> Tunings | None:
    """The choices of the run, made or not yet; None where nothing is chosen."""
    planned = {p.experiment.recipe: p for p in reading.plan.experiments if p.tuning is not None}
    if not planned:
        return None
    rows = tuning_rows(reading.plan, reading.tables.outcomes)
    cells = [_cells(row) for row in rows]
    open_ones = [name for name in planned if not any(row.experiment == name and row.fate == "chosen" for row in rows)]
    cells += [[PlainCell(name), *(PlainCell(NOT_YET) for _ in COLUMNS[1:])] for name in open_ones]
    grid = sum(p.steps * len(p.tuning.rates) for p in planned.values() if p.tuning)
    steps = sum(row.steps_trained for row in rows)
    spent = sum(row.gpu_hours for row in rows)
    cost = (
        f"Choosing took {steps:,} steps ({hours(spent)} GPU-hours) on validation rows; training every candidate in "
        f"full would take {grid:,}."
    )
    return Tunings(PlainTable(COLUMNS, cells), cost)


def _cells(row: TuningRow) -> list[PlainCell]:
    value = row.validation_loss if row.by == "loss" else None if row.value is None else -row.value
    return [
        PlainCell(row.experiment),
        PlainCell(f"{row.learning_rate:.3g}", number=True),
        PlainCell(f"{row.steps:,}", number=True),
        PlainCell("none" if value is None else f"{value:.4f}{'' if row.by == 'loss' else ' (headline)'}", number=True),
        PlainCell(str(row.place), number=True),
        PlainCell(row.fate),
        PlainCell(f"{row.steps_trained:,}", number=True),
        PlainCell(hours(row.gpu_hours), number=True),
    ]


def tuning_csv(rows: Sequence[TuningRow]) -> str:
    """The rows as CSV; floats with ten significant digits, missing values empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([field.name for field in fields(TuningRow)])
    for row in rows:
        writer.writerow([f"{value:.10g}" if isinstance(value, float) else value for value in asdict(row).values()])
    return out.getvalue()
