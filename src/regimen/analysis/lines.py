"""The line that a recommendation is held against: TF-IDF with logistic regression, trained on the task's own rows.

Owns whether a recommendation is below it. Does not know how recommendations are made.
"""

from __future__ import annotations

from regimen.analysis.evidence import Evidence
from regimen.results.floors import floors_of


def line_above(evidence: Evidence, end: str, task: str) -> float | None:
    """The trained TF-IDF line of a task where the end point's score is below it, else None."""
    floors = floors_of(evidence.plan, evidence.tables.outcomes, task)
    value = evidence.value(end, task)
    line = floors.tfidf.get(evidence.study.tasks[task].headline) if floors else None
    return line if line is not None and value is not None and value.point < line else None
