"""What a run says about the study's questions.

Owns findings.json. A question whose contrasts are not all there is answered "not yet". Reads tables only.
"""

from __future__ import annotations

from typing import Any

from regimen.results.tables import RunTables


def findings(tables: RunTables) -> dict[str, Any]:
    """The findings of a run, complete or not."""
    study = tables.plan.study
    questions = [
        {
            "id": name,
            "question": question.question,
            "verdict": "not yet",
            "summary": "Not yet: the declared contrasts have not been tested.",
            "contrasts": [{"id": contrast.id, "title": contrast.title} for contrast in question.contrasts],
        }
        for name, question in study.questions.items()
    ]
    return {"questions": questions, "taxonomy": [], "transfer": [], "gate": {"decision": "not yet"}}
