"""The declared contrasts of a study, each tested, missing, or not identifiable; corrected together.

Owns the contrasts that verdicts rest on, and the joining of seeds to items where a recipe was trained more than once.
Does not know what the contrasts mean for a question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from regimen.analysis.contrasts import Comparison, Direction, compare
from regimen.analysis.evidence import Evidence
from regimen.analysis.replicates import with_seeds
from regimen.analysis.statistics.seed_variance import Combined
from regimen.analysis.statistics.significance import adjusted
from regimen.study import Contrast, Pair

Status = Literal["tested", "not yet", "not identifiable"]


@dataclass(frozen=True)
class JudgedContrast:
    """A declared contrast and its result; `seeds` where replicates give a second variance component.

    `note` says why it was not tested, or which of its tasks were left out. `comparison` and `direction` are None where
    it was not tested.
    """

    contrast: Contrast
    status: Status
    note: str
    comparison: Comparison | None
    seeds: Combined | None
    direction: Direction | None
    statement: str

    @classmethod
    def of(
        cls,
        contrast: Contrast,
        status: Status,
        note: str = "",
        comparison: Comparison | None = None,
        seeds: Combined | None = None,
    ) -> JudgedContrast:
        """The contrast with its direction and its sentence: result, interval, n and test, or why there is none."""
        if comparison is None:
            words = f"{contrast.title}: {status} ({note or 'its scores are not there'})."
            return cls(contrast, status, note, None, None, None, words)
        words = f"{contrast.title}: {comparison.statement()}; {comparison.evidence()}."
        return cls(contrast, status, note, comparison, seeds, comparison.direction, words)

    @property
    def remarks(self) -> str:
        """The notes on the contrast and on its comparison."""
        return "; ".join(note for note in (self.note, self.comparison.note if self.comparison else "") if note)

    @property
    def rules_out_better(self) -> bool:
        """Whether it is worse, or the interval lies below any improvement that could have been seen."""
        found = self.comparison
        if found is None or self.direction == "better":
            return False
        return self.direction == "worse" or (found.mde is not None and not found.degenerate and found.high < found.mde)

    def record(self) -> dict[str, object]:
        """As findings.json holds it; numbers are None where it was not tested."""
        names = ("estimate", "low", "high", "n", "p", "p_adjusted", "test", "mde")
        numbers = self.comparison.record() if self.comparison else dict.fromkeys(names)
        return {
            "id": self.contrast.id,
            "title": self.contrast.title,
            "group": self.contrast.group,
            "pairs": self.contrast.pairs,
            "status": self.status,
            "direction": self.direction,
            **{name: numbers[name] for name in names[:3]},
            "se": self.comparison.se if self.comparison else None,
            **{name: numbers[name] for name in names[3:]},
            "seeds": self.seeds,
            "note": self.remarks,
            "statement": self.statement,
        }


def judge_declared(evidence: Evidence) -> dict[str, JudgedContrast]:
    """Every declared contrast of the study by id, Holm over all of them; untested ones count with p = 1."""
    contrasts = [c for question in evidence.study.questions.values() for c in question.contrasts]
    return judge_contrasts(evidence, contrasts)


def judge_contrasts(evidence: Evidence, contrasts: Sequence[Contrast]) -> dict[str, JudgedContrast]:
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
        one.id: JudgedContrast.of(one, *judged[one.id][:2], compared.get(one.id), seeds.get(one.id))
        for one in contrasts
    }


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
    """The status of a contrast, why, and its pairs; pairs on a skipped task are left out, with a note."""
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
