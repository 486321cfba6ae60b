"""What a plan's declared contrasts can tell: the effect that each would find, before anything runs.

Owns the spreads that are assumed while there are no scores, and what a design would need that cannot tell its margin.
The effect is `plan.detectable`'s, at the level that Holm leaves the smallest p-value of the question's contrasts. Does
not know rows: the numbers of test items are given to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from regimen.plan.detectable import ALPHA, POWER, detectable, fewest_discordant
from regimen.plan.plan import Plan
from regimen.study import Contrast, Pair, Study
from regimen.study.margins import BITS, SHARE, mean_margin, unit_of

MOST_RUNS = 1000  # a need beyond is none that can be met
_ROUNDS = 8  # of the items that are needed and the quantiles that these imply


@dataclass(frozen=True)
class Spread:
    """Standard deviations, in units of the metric: of two models' difference on an item, and of a recipe's seed."""

    items: float
    seeds: float


# Where a share is scored 0 or 1, two models that differ on a quarter of the items have 0.5. Once a run has scores, its
# findings give the effects that these could have shown.
SPREADS: Mapping[str, Spread] = {SHARE: Spread(0.5, 0.01), BITS: Spread(0.1, 0.002)}


@dataclass(frozen=True)
class ContrastPower:
    """What one declared contrast would find, in units of its metric; None where that cannot be told beforehand.

    `detectable` is the effect between recipes that is found with the power of 80%: items and seeds vary.
    `detectable_in_these_runs` is that between the models of these runs: items alone vary, as where a recipe is trained
    once. `alpha` is the family's level over its `declared` contrasts. `runs` is the fewest runs of a trained recipe (0:
    nothing trained is compared). `needed_items` and `needed_runs` would let it tell the margin: so many items together,
    and so many runs of each recipe.
    """

    question: str
    contrast: str
    title: str
    declared: int
    alpha: float
    runs: int
    margin: float | None
    items: int | None = None
    detectable: float | None = None
    detectable_in_these_runs: float | None = None
    can_tell: bool | None = None
    needed_items: int | None = None
    needed_runs: int | None = None
    note: str = ""

    @property
    def statement(self) -> str:
        """The whole of it in a sentence."""
        if self.detectable is None or self.items is None:
            return f"{self.title}: {self.note}."
        runs = f" and {self.runs} run{'s' if self.runs > 1 else ''} of each recipe" if self.runs else ""
        found = f"{self.title}: {self.items:,} items{runs} detect {self.detectable:.2g}"
        if self.margin is None:
            return f"{found}; no margin is declared."
        if self.can_tell:
            return f"{found}, within the margin of {self.margin:g}."
        return f"{found}; a margin of {self.margin:g} would need {self.need}."

    @property
    def need(self) -> str:
        """What it would take to tell the margin, in words; "" where it can, or where no margin is declared."""
        if self.can_tell is not False:
            return ""
        if self.needed_items is None:
            return f"more than {MOST_RUNS:,} runs"
        runs = f" and {self.needed_runs} runs" if self.needed_runs and self.needed_runs > self.runs else ""
        return f"{self.needed_items:,} items{runs}"

    def to_json(self) -> dict[str, object]:
        """As `plan --json` holds it."""
        return {**asdict(self), "statement": self.statement}


def power_of(plan: Plan, items: Mapping[str, int]) -> list[ContrastPower]:
    """One for each declared contrast of which the plan has all experiments, in order.

    `items` holds the numbers of test items of tasks, where they are known.
    """
    runs = {recipe.id: len(recipe.runs) for recipe in plan.recipes if recipe.first.legs}
    found = []
    for name, question in plan.study.questions.items():
        for contrast in question.contrasts:
            if contrast.pairs and _ends(contrast) <= set(runs):
                found.append(contrast_power(plan.study, name, contrast, items, runs))
    return found


def _ends(contrast: Contrast) -> set[str]:
    return {end.experiment for pair in contrast.pairs for end in (pair.of, pair.against) if not end.is_base}


def contrast_power(
    study: Study, question: str, contrast: Contrast, items: Mapping[str, int], runs: Mapping[str, int]
) -> ContrastPower:
    """What a contrast of a question would find, with so many items a task and so many runs of each recipe."""
    pairs, declared = contrast.pairs, len(study.questions[question].contrasts)
    least = min((runs[end] for end in _ends(contrast)), default=0)
    blank = ContrastPower(
        question=question,
        contrast=contrast.id,
        title=contrast.title,
        declared=declared,
        alpha=ALPHA / declared,
        runs=least,
        margin=mean_margin([study.margin_of(pair.task) for pair in pairs]),
    )
    unit = unit_of(study.tasks[pairs[0].task].headline)
    if unit not in SPREADS:
        return replace(blank, note=f"nothing is assumed of the spread of {unit}")
    tasks = list(dict.fromkeys(pair.task for pair in pairs))
    if unknown := [task for task in tasks if task not in items]:
        return replace(blank, note=f"the number of test items of {', '.join(unknown)} is not known")
    total = sum(items[task] for task in tasks)
    of_items = _items_variance(pairs, items, SPREADS[unit])
    of_a_run = _seeds_variance(pairs, dict.fromkeys(runs, 1), SPREADS[unit])
    of_seeds = _seeds_variance(pairs, runs, SPREADS[unit])
    here, whole = (detectable(math.sqrt(one), total, blank.alpha) for one in (of_items, of_items + of_seeds))
    note = "" if whole else f"{total:,} items are too few for any difference to be clear"
    found = replace(blank, items=total, detectable=whole, detectable_in_these_runs=here, note=note)
    if found.margin is None:
        return found
    if whole is not None and whole <= found.margin:
        return replace(found, can_tell=True)
    wanted = _needed(of_items * total, of_a_run, blank.alpha, found.margin, least)
    return replace(found, can_tell=False, needed_items=wanted[0], needed_runs=wanted[1])


def _items_variance(pairs: Sequence[Pair], items: Mapping[str, int], spread: Spread) -> float:
    """Of the contrast's estimate over items; the pairs on one task share its items."""
    weights: dict[str, float] = {}
    for pair in pairs:
        weights[pair.task] = weights.get(pair.task, 0.0) + 1 / len(pairs)
    return math.fsum(weight**2 * spread.items**2 / items[task] for task, weight in weights.items())


def _seeds_variance(pairs: Sequence[Pair], runs: Mapping[str, int], spread: Spread) -> float:
    """Of the contrast's estimate over seeds: each trained end with its weight, over its runs."""
    weights: dict[str, float] = {}
    for pair in pairs:
        for end, sign in ((pair.of, 1.0), (pair.against, -1.0)):
            if not end.is_base:
                weights[end.experiment] = weights.get(end.experiment, 0.0) + sign / len(pairs)
    return math.fsum(weight**2 * spread.seeds**2 / runs[end] for end, weight in weights.items())


def _needed(of_an_item: float, of_a_run: float, alpha: float, margin: float, runs: int) -> tuple[int | None, int]:
    """(items, runs of each recipe) that would tell the margin; the items None where no number of runs is enough.

    `of_an_item` and `of_a_run` are the variances with one item and with one run. The runs are raised until they take at
    most half of what the margin allows, and the items make up the rest.
    """
    items, wanted = 10**6, runs
    for _ in range(_ROUNDS):
        allowed = (margin / _reach(items, alpha)) ** 2
        wanted = runs if of_a_run <= allowed / 2 * max(runs, 1) else math.ceil(2 * of_a_run / allowed)
        if wanted > MOST_RUNS:
            return None, wanted
        left = allowed - (of_a_run / wanted if wanted else 0.0)
        items = max(fewest_discordant(alpha), math.ceil(of_an_item / left))
    return items, wanted


def _reach(items: int, alpha: float) -> float:
    """The detectable effect in standard errors."""
    found = detectable(1.0, items, alpha)
    assert found is not None
    return found


def assumed() -> str:
    """The terms of these effects, for the foot of a table."""
    share, bits = SPREADS[SHARE], SPREADS[BITS]
    return (
        f"Effects that are found with a power of {POWER:.0%} at {ALPHA:g} over each question's contrasts. Assumed: "
        f"models differ by {share.items:g} on an item ({bits.items:g} bits per byte), a recipe's seeds by "
        f"{share.seeds:g} ({bits.seeds:g}), as standard deviations."
    )
