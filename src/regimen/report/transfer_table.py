"""The transfer matrix for a paper: the gain of every single-source training on every task.

Owns its layout. Does not know how gains are measured.
"""

from __future__ import annotations

from regimen.analysis.transfer import TransferCell
from regimen.report.charts import Matrix
from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, points


def transfer_matrix(reading: Reading) -> Matrix | None:
    """Rows are trainings, columns the tasks that they were tested on; None while there is no gain."""
    cells = reading.findings.transfer
    if not cells:
        return None
    tasks = list(dict.fromkeys(cell.tested_on for cell in cells))
    names = list(dict.fromkeys(cell.experiment for cell in cells))
    by_place = {(cell.experiment, cell.tested_on): cell for cell in cells}
    rows = [[by_place.get((name, task)) for task in tasks] for name in names]
    return Matrix(
        name="transfer",
        title="Transfer: gain against zero-shot by training source",
        alt=f"Gain of {len(names)} single-source trainings on {len(tasks)} tasks against zero-shot",
        rows=tuple(names),
        columns=tuple(reading.plan.study.tasks[task].title for task in tasks),
        values=tuple(tuple(cell.delta if cell else None for cell in row) for row in rows),
        texts=tuple(tuple(map(_words, row)) for row in rows),
    )


def _words(cell: TransferCell | None) -> str:
    if cell is None:
        return NOT_YET
    return points(cell.delta) + ("*" if cell.clear else "")
