"""What a run says about the study's questions.

Owns findings.json. A question whose contrasts are not all there is answered "not yet". Reads tables only; the same
tables give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from regimen.analysis.curves import loss_curves, score_curves
from regimen.analysis.declared_contrasts import Judged, entry, judge_declared
from regimen.analysis.evidence import Evidence
from regimen.analysis.gate import gate_of
from regimen.analysis.mixture_responses import mixture_responses
from regimen.analysis.pareto import pareto
from regimen.analysis.recipes import recipes, tree
from regimen.analysis.relative_gains import Relative
from regimen.analysis.replicates import replicate_groups
from regimen.analysis.rules import Rules
from regimen.analysis.taxonomy import Taxonomy, universal
from regimen.analysis.thresholds import by_thresholds, thresholds
from regimen.analysis.transfer import chains, transfer_matrix
from regimen.analysis.verdicts import by_contrasts
from regimen.results.tables import RunTables
from regimen.study import Contrast, Question
from regimen.study.questions import ContrastRule, RankRule

DIGITS = 10  # significant digits of every number, so that equal inputs give equal bytes on any machine


def findings(source: RunTables | Evidence, rules: Rules | None = None) -> dict[str, Any]:
    """The findings of a run, complete or not, as `findings.schema.json` describes them; plain and finite values."""
    evidence = Evidence.of(source, rules)
    relative = Relative(evidence)
    taxonomy = Taxonomy(relative)
    judged = judge_declared(evidence)
    found = {
        "questions": [
            _answer(name, question, [judged[c.id] for c in question.contrasts], taxonomy)
            for name, question in evidence.study.questions.items()
        ],
        "taxonomy": taxonomy.rows(),
        "transfer": transfer_matrix(evidence),
        "gate": gate_of(evidence),
        "chains": chains(evidence),
        "recipes": recipes(relative),
        "tree": tree(relative),
        "pareto": pareto(relative),
        "curves": [*score_curves(evidence), *loss_curves(evidence)],
        "mixtures": mixture_responses(evidence),
        "units": [unit.__dict__ | {"clear": unit.clear} for unit in relative.units.values()],
        "method": _method(evidence),
    }
    return plain(found)


def _answer(name: str, question: Question[Contrast], contrasts: Sequence[Judged], taxonomy: Taxonomy) -> dict[str, Any]:
    rule, more = question.rule, {}
    if isinstance(rule, ContrastRule):
        verdict, summary = by_contrasts(rule, contrasts)
    elif isinstance(rule, RankRule):
        verdict, summary = universal(taxonomy, rule)
    else:
        entries = thresholds(taxonomy.evidence, rule)
        verdict, summary = by_thresholds(entries, rule, taxonomy.relative)
        more = {"tasks": entries}
    return {
        "id": name,
        "question": question.question,
        "verdict": verdict,
        "summary": summary,
        "contrasts": [entry(one) for one in contrasts],
        **more,
    }


def _method(evidence: Evidence) -> dict[str, Any]:
    """What a reader needs to judge the numbers by."""
    rules = evidence.rules
    return {
        "seed": rules.seed,
        "resamples": rules.resamples,
        "swaps": rules.swaps,
        "alpha": rules.alpha,
        "level": rules.level,
        "power": rules.power,
        "declared_contrasts": rules.declared,
        "exploratory_tests": len(evidence.grid),
        "replicates": replicate_groups(evidence),
        "problems": [
            {"end": end, "task": task, "problem": problem} for (end, task), problem in evidence.problems.items()
        ],
    }


def plain(value: Any) -> Any:
    """The value for JSON: numbers cut to `DIGITS` significant digits, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") + 0.0 if math.isfinite(value) else None  # + 0.0 makes -0 a 0
    return value
