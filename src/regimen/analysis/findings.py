"""What a run says about the study's questions.

Owns findings.json. A question whose contrasts are not all there is answered "not yet". Reads tables only; the same
tables give the same findings.
"""

from __future__ import annotations

from typing import Any

from regimen.analysis.contrasts import Rules
from regimen.analysis.declared import Judged, entry, judge_declared
from regimen.analysis.evidence import Evidence
from regimen.analysis.gate import gate_of
from regimen.analysis.verdicts import by_contrasts
from regimen.results.tables import RunTables
from regimen.study import Contrast, Question
from regimen.study.questions import ContrastRule


def findings(tables: RunTables, rules: Rules | None = None) -> dict[str, Any]:
    """The findings of a run, complete or not."""
    evidence = Evidence(tables, rules)
    tested = judge_declared(evidence)
    questions = [
        _answer(name, question, [tested[c.id] for c in question.contrasts])
        for name, question in evidence.study.questions.items()
    ]
    return {"questions": questions, "taxonomy": [], "transfer": [], "gate": gate_of(evidence)}


def _answer(name: str, question: Question[Contrast], contrasts: list[Judged]) -> dict[str, Any]:
    verdict, summary = "not yet", "Not yet."
    if isinstance(question.rule, ContrastRule):
        verdict, summary = by_contrasts(question.rule, contrasts)
    return {
        "id": name,
        "question": question.question,
        "verdict": verdict,
        "summary": summary,
        "contrasts": [entry(one) for one in contrasts],
    }
