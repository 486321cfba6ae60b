"""The result of a contrast: estimate, interval, p-value, and the largest effect that could be missed.

Owns the joining of draws, tests and power into one result for each contrast. Does not know experiments beyond
looking up their names, or verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from regimen.analysis.records import Size
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.coverage import approximate
from regimen.analysis.statistics.equivalence import Part, inner_interval
from regimen.analysis.statistics.resampling import Bootstrap, Resampled, bootstrap, mean
from regimen.analysis.statistics.significance import Correction, PValue, adjusted, differing, is_mcnemar, p_values
from regimen.plan.detectable import POWER, detectable, detectable_mcnemar, fewest_discordant
from regimen.study import Pair

Outcome = Literal["better", "worse", "equivalent", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """The result of one contrast; up is better, units are those of the metric.

    `low` to `high` is the BCa interval, `se` the bootstrap's standard error, `p` two-sided, `p_adjusted` corrected for
    all declared contrasts. `mde`: the effect that would have been found with the rules' power at alpha over the number
    of declared contrasts, None where none could be; it is shown and decides nothing. `inner_low` to `inner_high` is the
    90% interval that is held against the `margin`, which is None where none is declared. `degenerate`: all resamples
    are equal, so that `se` and the interval tell nothing. `approximate`: intervals of this metric and size were
    measured to hold the truth less (or more) often than they say (`statistics.coverage`). `note` says what else a
    reader must know. `alpha` is the level of the verdict, `power` that of the `mde`.
    """

    estimate: float
    low: float
    high: float
    se: float
    p: float
    p_adjusted: float
    items: int
    clusters: int
    test: str
    mde: float | None
    degenerate: bool
    note: str
    alpha: float
    inner_low: float = -math.inf
    inner_high: float = math.inf
    margin: float | None = None
    approximate: bool = False
    power: float = POWER

    @property
    def outcome(self) -> Outcome:
        """Better or worse where that is clear after correction; equivalent where the 90% interval is in the margin."""
        if self.p_adjusted <= self.alpha and self.estimate != 0:
            return "better" if self.estimate > 0 else "worse"
        return "equivalent" if self.rules_out_gain and self.rules_out_loss else "undecided"

    @property
    def is_clear(self) -> bool:
        """True if it is better or worse."""
        return self.outcome in ("better", "worse")

    @property
    def rules_out_gain(self) -> bool:
        """True if a gain as large as the margin is ruled out."""
        return self.margin is not None and self.inner_high < self.margin

    @property
    def rules_out_loss(self) -> bool:
        """True if a loss as large as the margin is ruled out."""
        return self.margin is not None and self.inner_low > -self.margin

    def statement(self) -> str:
        """The outcome with its interval, for a report."""
        rough = "approximate " if self.approximate else ""
        span = f"{rough}interval {self.low:.3f} to {self.high:.3f}"
        if self.outcome in ("better", "worse"):
            return f"{self.outcome} by {abs(self.estimate):.3f} ({span})"
        if self.outcome == "equivalent":
            inside = f"{rough}90% interval {self.inner_low:.3f} to {self.inner_high:.3f}"
            return f"equivalent ({inside}, inside the margin of {self.margin:g})"
        if self.degenerate:
            return "undecided (every resample gives the same)"
        return f"undecided ({span}; {self._against_margin()}; {self._could_be_seen()})"

    def _could_be_seen(self) -> str:
        """The detectable effect. How large a missed effect could be is told by the interval."""
        if self.mde is None:
            return "with so few items an effect of any size could be missed"
        return f"an effect of {self.mde:.3f} would have been seen with a power of {100 * self.power:g}%"

    def _against_margin(self) -> str:
        if self.margin is None:
            return "no margin declared"
        if self.rules_out_gain:
            return f"a gain of {self.margin:g} is ruled out"
        return f"a loss of {self.margin:g} is ruled out" if self.rules_out_loss else f"margin {self.margin:g}"

    def evidence(self) -> str:
        """Number of items, test and p-values in words."""
        clusters = f" in {self.clusters:,} clusters" if self.clusters != self.items else ""
        tested = f"{self.test}, p = {self.p:.2g}, adjusted {self.p_adjusted:.2g}"
        return f"n = {self.items:,} items{clusters}; {tested}"

    def record(self) -> dict[str, object]:
        """The numbers that every JSON object of a comparison holds."""
        return {
            "estimate": self.estimate,
            "low": self.low,
            "high": self.high,
            "approximate": self.approximate,
            "n": Size(self.items, self.clusters),
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "test": self.test,
            "mde": self.mde,
            "inner_low": self.inner_low,
            "inner_high": self.inner_high,
            "margin": self.margin,
        }


def compare(
    contrasts: Mapping[str, Sequence[Pair]],
    scores: Mapping[str, TaskScores],
    rules: Rules,
    by: Correction = "holm",
    draws: Callable[[str], Bootstrap] | None = None,
    margins: Mapping[str, float | None] | None = None,
) -> dict[str, Comparison]:
    """Compares the pairs of each contrast (id -> pairs) on the tasks' scores, corrected for all of them together.

    A pure function of its arguments; a contrast's numbers, except what the correction does, do not depend on the
    other contrasts. Raises DataError where an end point or a task is missing: leave such contrasts out and declare
    their number in `rules`. `draws` gives a task's bootstrap draws where they are made already, `margins` each
    contrast's margin.
    """
    tests = p_values(contrasts, scores, rules.seed, rules.swaps)
    corrected = adjusted([test.p for test in tests.values()], by, rules.declared)
    tasks = sorted({pair.task for pairs in contrasts.values() for pair in pairs})
    made = {task: draws(task) if draws else bootstrap(scores[task], rules.seed, rules.resamples) for task in tasks}
    alpha = rules.alpha / max(1, rules.declared or len(contrasts))
    return {
        name: _comparison(pairs, made, tests[name], p, rules, alpha, (margins or {}).get(name))
        for (name, pairs), p in zip(contrasts.items(), corrected, strict=True)
    }


def contrast(pairs: Sequence[Pair], draws: Mapping[str, Bootstrap]) -> Resampled:
    """The mean over the pairs of how much better `of` is than `against`."""
    return mean([draws[pair.task].gain(pair.of, pair.against) for pair in pairs])


def _parts(pairs: Sequence[Pair], draws: Mapping[str, Bootstrap]) -> dict[str, Part]:
    """Each task's part of the contrast."""
    found = {}
    for task in dict.fromkeys(pair.task for pair in pairs):
        here = [pair for pair in pairs if pair.task == task]
        weight = len(here) / len(pairs)
        number = contrast(here, draws) * weight
        found[task] = Part(number, int(differing(draws[task].scores, here).sum()), weight)
    return found


def _comparison(
    pairs: Sequence[Pair],
    draws: Mapping[str, Bootstrap],
    test: PValue,
    p_adjusted: float,
    rules: Rules,
    alpha: float,
    margin: float | None,
) -> Comparison:
    number = contrast(pairs, draws)
    interval, inner = number.interval(), inner_interval(number, _parts(pairs, draws))
    scores = {pair.task: draws[pair.task].scores for pair in pairs}
    clusters = sum(task.clusters for task in scores.values())
    items = sum(task.items for task in scores.values())
    if is_mcnemar(pairs, scores):
        task = scores[pairs[0].task]
        right = float(task.points[[task.place(pairs[0].of), task.place(pairs[0].against)]].mean())
        mde = detectable_mcnemar(items, test.differing / items, alpha, rules.power, right)
    elif alpha * (rules.swaps + 1) < 1:
        mde = None
    else:
        mde = detectable(number.se, clusters, alpha, rules.power, clusters - len(scores), test.spread)
    reasons = [approximate(task, test.differing) for task in scores.values()]
    rough = [f"the interval is approximate: {why}" for why in dict.fromkeys(reasons) if why]
    return Comparison(
        estimate=number.point,
        low=interval.low,
        high=interval.high,
        se=number.se,
        p=test.p,
        p_adjusted=p_adjusted,
        items=items,
        clusters=clusters,
        test=test.test,
        mde=mde,
        degenerate=interval.degenerate,
        note="; ".join([*_notes(scores, test, interval.degenerate, rules, alpha), *rough]),
        alpha=rules.alpha,
        inner_low=inner.low,
        inner_high=inner.high,
        margin=margin,
        approximate=bool(rough),
        power=rules.power,
    )


def _notes(
    scores: Mapping[str, TaskScores], test: PValue, degenerate: bool, rules: Rules, alpha: float
) -> Iterator[str]:
    clusters = sum(task.clusters for task in scores.values())
    needed = fewest_discordant(alpha)
    if test.differing < needed:
        yield f"{test.differing} of {clusters} clusters differ, and {needed} must for a difference to be clear"
    if alpha * (rules.swaps + 1) < 1:
        yield f"{rules.swaps:,} swaps cannot give a p-value of {alpha:.2g}"
    if degenerate:
        yield "every resample gives the same, so the interval has no width"
    for name, task in scores.items():
        if task.clusters == 1:
            yield f"{name} is one cluster, so its spread is not seen"
