"""The declared contrasts of a study, each tested, missing, or not identifiable; corrected within their question.

Owns the contrasts that verdicts rest on, and the joining of seeds to items where a recipe was trained more than once.
Does not know what the contrasts mean for a question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from regimen.analysis.contrasts import Comparison, Outcome, compare
from regimen.analysis.evidence import Evidence
from regimen.analysis.replicates import over_seeds, runs_behind, with_seeds
from regimen.analysis.statistics.equivalence import INNER_LEVEL
from regimen.analysis.statistics.seed_variance import Combined
from regimen.analysis.statistics.significance import adjusted
from regimen.study import Contrast, Pair
from regimen.study.margins import mean_margin

Status = Literal["tested", "not yet", "not identifiable"]


@dataclass(frozen=True)
class JudgedContrast:
    """A declared contrast and its result; `seeds` where replicates give a second variance component.

    `note` says why it was not tested, or which of its tasks were left out. `comparison` and `outcome` are None where
    it was not tested. `runs` is how often the recipe was trained that was trained least often of those compared (0:
    nothing that was trained is compared): with 1 the result is of this one run and not of the recipe.
    """

    contrast: Contrast
    status: Status
    note: str
    comparison: Comparison | None
    seeds: Combined | None
    outcome: Outcome | None
    statement: str
    runs: int = 1

    @classmethod
    def of(
        cls,
        contrast: Contrast,
        status: Status,
        note: str = "",
        comparison: Comparison | None = None,
        seeds: Combined | None = None,
        runs: int = 1,
    ) -> JudgedContrast:
        """The contrast with its outcome and its sentence: result, interval, n and test, or why there is none."""
        if comparison is None:
            words = f"{contrast.title}: {status} ({note or 'its scores are not there'})."
            return cls(contrast, status, note, None, None, None, words, runs)
        words = f"{in_runs(runs)}{contrast.title}: {comparison.statement()}; {comparison.evidence()}."
        if runs == 1 and seeds is None and _both_trained(contrast.pairs):
            words += " Both sides were trained once, and another seed can give another difference."
        return cls(contrast, status, note, comparison, seeds, comparison.outcome, words, runs)

    @property
    def remarks(self) -> str:
        """The notes on the contrast and on its comparison."""
        return "; ".join(note for note in (self.note, self.comparison.note if self.comparison else "") if note)

    @property
    def rules_out_gain(self) -> bool:
        """True if its upper bound lies below the margin."""
        return self.comparison is not None and self.comparison.rules_out_gain

    def record(self) -> dict[str, object]:
        """As findings.json holds it; numbers are None where it was not tested."""
        names = (
            "estimate",
            "low",
            "high",
            "n",
            "p",
            "p_adjusted",
            "test",
            "mde",
            "inner_low",
            "inner_high",
            "margin",
            "approximate",
        )
        numbers = self.comparison.record() if self.comparison else dict.fromkeys(names)
        return {
            "id": self.contrast.id,
            "title": self.contrast.title,
            "group": self.contrast.group,
            "pairs": self.contrast.pairs,
            "status": self.status,
            "outcome": self.outcome,
            **{name: numbers[name] for name in names[:3]},
            "se": self.comparison.se if self.comparison else None,
            **{name: numbers[name] for name in names[3:]},
            "seeds": self.seeds,
            "runs": self.runs,
            "note": self.remarks,
            "statement": self.statement,
        }


def judge_declared(evidence: Evidence) -> dict[str, JudgedContrast]:
    """Every declared contrast of the study by id, Holm within each question; untested ones count with p = 1."""
    judged: dict[str, JudgedContrast] = {}
    for question in evidence.study.questions.values():
        judged |= judge_contrasts(evidence, question.contrasts)
    return judged


def judge_contrasts(evidence: Evidence, contrasts: Sequence[Contrast]) -> dict[str, JudgedContrast]:
    """The contrasts of one family, by id."""
    rules = replace(evidence.rules, declared=len(contrasts))
    judged = {contrast.id: _judge(evidence, contrast) for contrast in contrasts}
    ready = {name: pairs for name, (status, _, pairs) in judged.items() if status == "tested"}
    tasks = {pair.task for pairs in ready.values() for pair in pairs}
    scores = {task: found for task in tasks if (found := evidence.scores(task)) is not None}
    margins = {name: mean_margin([evidence.study.margin_of(p.task) for p in pairs]) for name, pairs in ready.items()}
    compared = compare(ready, scores, rules, draws=evidence.draws, margins=margins)
    seeds = {name: found for name in compared if (found := with_seeds(evidence, ready[name], compared[name]))}
    compared = join_seeds(compared, seeds, len(contrasts))
    return {
        one.id: JudgedContrast.of(
            one, *judged[one.id][:2], compared.get(one.id), seeds.get(one.id), runs_behind(evidence, one.pairs)
        )
        for one in contrasts
    }


def join_seeds(
    compared: Mapping[str, Comparison], seeds: Mapping[str, Combined], declared: int
) -> dict[str, Comparison]:
    """Where seeds are known, p is the larger and each interval the wider of the items' and of items and seeds'."""
    if not seeds:
        return dict(compared)
    larger = {name: max(found.p, seeds[name].p) if name in seeds else found.p for name, found in compared.items()}
    corrected = adjusted(list(larger.values()), "holm", declared)
    return {
        name: _widened(replace(found, p=larger[name], p_adjusted=p), seeds.get(name), declared)
        for (name, found), p in zip(compared.items(), corrected, strict=True)
    }


def _widened(found: Comparison, seeds: Combined | None, declared: int) -> Comparison:
    if seeds is None:
        return found
    inner = seeds.interval(INNER_LEVEL)
    seen = seeds.detectable(found.alpha / max(1, declared), found.power)
    return replace(
        found,
        se=max(found.se, seeds.se),
        low=min(found.low, seeds.low),
        high=max(found.high, seeds.high),
        inner_low=min(found.inner_low, inner[0]),
        inner_high=max(found.inner_high, inner[1]),
        mde=None if found.mde is None else max(found.mde, seen),
    )


def in_runs(runs: int) -> str:
    """The words that a sentence about trained models begins with: how many runs of a recipe it rests on."""
    return {0: "", 1: "In this one run, "}.get(runs, f"Over {runs} runs of each recipe, ")


def within(runs: int) -> str:
    """The same inside a sentence."""
    return in_runs(runs)[:1].lower() + in_runs(runs)[1:]


def _both_trained(pairs: Sequence[Pair]) -> bool:
    return not any(end.is_base for pair in pairs for end in (pair.of, pair.against))


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
    return "tested", note, over_seeds(evidence, [evidence.settled(pair) for pair in left])
