"""The declared contrasts of a study, each tested, missing, or not to be had; corrected together.

Owns the entries of findings.json that a verdict rests on, and the joining of seeds to items where a recipe was
trained more than once. Does not know what the contrasts mean for a question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from regimen.analysis.contrasts import Comparison, compare
from regimen.analysis.evidence import Evidence
from regimen.analysis.replicates import with_seeds
from regimen.analysis.statistics.seed_variance import Combined
from regimen.analysis.statistics.significance import adjusted
from regimen.study import Contrast, Pair

Status = Literal["tested", "not yet", "not identifiable"]


@dataclass(frozen=True)
class Judged:
    """A declared contrast with what is known of it; `seeds` where replicates give a second variance component."""

    contrast: Contrast
    status: Status
    note: str
    comparison: Comparison | None = None
    seeds: Combined | None = None

    @property
    def direction(self) -> str:
        """ "better", "worse", "no difference seen", or the status where it was not tested."""
        return self.comparison.direction() if self.comparison else self.status

    @property
    def rules_out_better(self) -> bool:
        """Whether it is worse, or the interval lies below any improvement that could have been seen."""
        found = self.comparison
        if found is None or self.direction == "better":
            return False
        return self.direction == "worse" or (found.mde is not None and not found.degenerate and found.high < found.mde)


def judge_declared(evidence: Evidence) -> dict[str, Judged]:
    """Every declared contrast of the study by id, Holm over all of them; untested ones count with p = 1."""
    contrasts = [c for question in evidence.study.questions.values() for c in question.contrasts]
    return judge_contrasts(evidence, contrasts)


def judge_contrasts(evidence: Evidence, contrasts: Sequence[Contrast]) -> dict[str, Judged]:
    """The contrasts of one family, by id."""
    rules = replace(evidence.rules, declared=len(contrasts))
    judged = {contrast.id: _judge(evidence, contrast) for contrast in contrasts}
    ready = {name: pairs for name, (status, _, pairs) in judged.items() if status == "tested"}
    tasks = {pair.task for pairs in ready.values() for pair in pairs}
    scores = {task: found for task in tasks if (found := evidence.scores(task)) is not None}
    compared = compare(ready, scores, rules, draws=evidence.draws)
    seeds = {name: found for name in compared if (found := with_seeds(evidence, ready[name], compared[name]))}
    compared = _with_seeds(compared, seeds, len(contrasts))
    return {
        contrast.id: Judged(contrast, judged[contrast.id][0], judged[contrast.id][1], compared.get(contrast.id),
                            seeds.get(contrast.id))
        for contrast in contrasts
    }  # fmt: skip


def _with_seeds(
    compared: Mapping[str, Comparison], seeds: Mapping[str, Combined], declared: int
) -> dict[str, Comparison]:
    """Where seeds are known, the p-value is the larger of the items' and that of items and seeds together."""
    if not seeds:
        return dict(compared)
    larger = {name: max(found.p, seeds[name].p) if name in seeds else found.p for name, found in compared.items()}
    corrected = adjusted(list(larger.values()), "holm", declared)
    return {
        name: replace(found, p=larger[name], p_adjusted=p)
        for (name, found), p in zip(compared.items(), corrected, strict=True)
    }


def _judge(evidence: Evidence, contrast: Contrast) -> tuple[Status, str, list[Pair]]:
    """What can be done with a contrast; pairs on a skipped task are left out, with a note."""
    if not contrast.pairs:
        return "not identifiable", contrast.note or "the plan holds nothing to compare with", []
    states = {pair: evidence.pair_state(pair) for pair in contrast.pairs}
    left = [pair for pair, state in states.items() if state != "skipped"]
    skipped = sorted({pair.task for pair, state in states.items() if state == "skipped"})
    note = "; ".join([*([contrast.note] if contrast.note else []), *(f"{task} was skipped" for task in skipped)])
    if not left:
        return "not identifiable", note, []
    if missing := evidence.lacking(left):
        more = f" and {len(missing) - 2} more" if len(missing) > 2 else ""
        return "not yet", "; ".join([*([note] if note else []), f"missing: {', '.join(missing[:2])}{more}"]), []
    return "tested", note, [evidence.settled(pair) for pair in left]


def entry(tested: Judged) -> dict[str, Any]:
    """A contrast as findings.json holds it; numbers are None where it was not tested."""
    contrast, found = tested.contrast, tested.comparison
    notes = [note for note in (tested.note, found.note if found else "") if note]
    return {
        "id": contrast.id,
        "title": contrast.title,
        "group": contrast.group,
        "pairs": [pair.model_dump() for pair in contrast.pairs],
        "status": tested.status,
        "direction": found.direction() if found else None,
        "estimate": found.estimate if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "se": found.se if found else None,
        "n": {"items": found.items, "clusters": found.clusters} if found else None,
        "p": found.p if found else None,
        "p_adjusted": found.p_adjusted if found else None,
        "test": found.test if found else None,
        "mde": found.mde if found else None,
        "seeds": _seeds_entry(tested.seeds),
        "note": "; ".join(notes),
        "statement": statement(tested),
    }


def _seeds_entry(found: Combined | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"se": found.se, "degrees": found.free, "low": found.low, "high": found.high, "p": found.p}


def statement(tested: Judged) -> str:
    """One sentence: what was seen, with interval, n and test; or why nothing was."""
    found = tested.comparison
    if found is None:
        reason = tested.note or "its scores are not there"
        return f"{tested.contrast.title}: {tested.status} ({reason})."
    return f"{tested.contrast.title}: {found.statement()}; {evidence_words(found)}."


def evidence_words(found: Comparison) -> str:
    """n, test and p of a comparison."""
    clusters = f" in {found.clusters:,} clusters" if found.clusters != found.items else ""
    tested = f"{found.test}, p = {found.p:.2g}, adjusted {found.p_adjusted:.2g}"
    return f"n = {found.items:,} items{clusters}; {tested}"
