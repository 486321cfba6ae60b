"""The transfer matrix: the gain of every single-source training on every task.

Owns its layout and which cells are marked. Does not know how gains are measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.transfer import TransferCell
from regimen.report.charts import Matrix
from regimen.report.run_reading import Reading
from regimen.report.tinted_cells import TintedCell, largest_of, tinted
from regimen.report.words import NOT_YET, anchor, count, interval, number, points, signed
from regimen.study import Task


@dataclass(frozen=True)
class TransferRow:
    """One training: its experiment, its recipe in words, its phase, and a cell for each task."""

    name: str
    words: str
    phase: str
    cells: Sequence[TintedCell]


@dataclass(frozen=True)
class TransferTable:
    """Rows are trainings, columns the tasks that they were tested on."""

    tasks: Sequence[Task]
    rows: Sequence[TransferRow]


def transfer(reading: Reading) -> TransferTable | None:
    """The gains against zero-shot; None while there is none."""
    transfers = reading.findings.transfer
    if not transfers:
        return None
    tasks = list(dict.fromkeys(cell.tested_on for cell in transfers))
    largest = largest_of(cell.delta for cell in transfers)
    by_place = {(cell.experiment, cell.tested_on): cell for cell in transfers}
    rows = []
    firsts: dict[str, TransferCell] = {}
    for cell in transfers:
        firsts.setdefault(cell.experiment, cell)
    for name, first in firsts.items():
        words = f"{first.kind} on {first.trained_on}, {count(first.steps)} steps"
        cells = [_cell(reading, by_place.get((name, task)), name, task, largest) for task in tasks]
        rows.append(TransferRow(name, words, reading.phase_of(name), cells))
    return TransferTable([reading.plan.study.tasks[task] for task in tasks], rows)


def _cell(reading: Reading, cell: TransferCell | None, name: str, task: str, largest: float) -> TintedCell:
    group = reading.plan.study.tasks[task].group
    link = anchor(name, task) if reading.row(name, task) is not None else anchor(name)
    link = link if name in reading.anchors else ""
    if cell is None:
        return tinted(None, largest, NOT_YET, NOT_YET, link=link, group=group)
    says = f"{signed(cell.delta)} ({interval(cell.low, cell.high)}), n = {count(cell.n.items)}"
    if cell.rate is not None:
        says += f"; {number(cell.rate, 2)} of what direct fine-tuning gains"
        says += f" ({number(cell.rate_low, 2)} to {number(cell.rate_high, 2)})"
    mark = "*" if cell.clear else ""
    return tinted(cell.delta, largest, points(cell.delta), says, mark=mark, link=link, group=group, own=cell.own)


def transfer_matrix(table: TransferTable | None) -> Matrix | None:
    """The matrix for a paper."""
    if table is None:
        return None
    return Matrix(
        name="transfer",
        title="Transfer: gain against zero-shot by training source",
        alt=f"Gain of {len(table.rows)} single-source trainings on {len(table.tasks)} tasks against zero-shot",
        rows=tuple(row.name for row in table.rows),
        columns=tuple(task.title for task in table.tasks),
        values=tuple(tuple(cell.change for cell in row.cells) for row in table.rows),
        texts=tuple(tuple(cell.text + cell.mark for cell in row.cells) for row in table.rows),
    )
