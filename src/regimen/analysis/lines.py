"""The line that a recommendation is held against: TF-IDF with logistic regression, trained on the task's own rows.

Owns the sentence that a recommendation below it carries, and the one on what it was chosen by. Does not know how
recommendations are made.
"""

from __future__ import annotations

from regimen.analysis.evidence import Evidence
from regimen.results.floors import floors_of

CHOSEN = "chosen on the test items that it is judged on"  # until a study has validation rows that can choose


def line_above(evidence: Evidence, end: str, task: str) -> float | None:
    """The trained TF-IDF line of a task where the end point's score is below it, else None."""
    floors = floors_of(evidence.plan, evidence.tables.outcomes, task)
    value = evidence.value(end, task)
    line = floors.tfidf.get(evidence.study.tasks[task].headline) if floors else None
    return line if line is not None and value is not None and value.point < line else None
