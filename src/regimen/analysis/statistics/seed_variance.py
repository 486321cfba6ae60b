"""Training again with another seed gives another score: the second part of a contrast's uncertainty.

Owns the joining of item variance and seed variance. The bootstrap and the swaps answer for these trained models on
other items; with seeds the answer is for the recipe. Does not know where scores come from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regimen.errors import DataError

UNLIKE = 0.5  # the share of families of alike recipes in which one stands out: a miss costs more than a wide interval
_LEAST = math.log(1e-15)  # no p-value is smaller


@dataclass(frozen=True)
class Component:
    """A part of an estimate's variance (in squared units) and the degrees of freedom that it is known with."""

    variance: float
    free: float


@dataclass(frozen=True)
class Combined:
    """An estimate over items and seeds: its standard error, interval and two-sided p-value.

    `free`: Satterthwaite's degrees of freedom of the standard error.
    """

    estimate: float
    se: float
    free: float
    low: float
    high: float
    p: float
    components: tuple[Component, ...] = ()

    def interval(self, level: float) -> tuple[float, float]:
        """The interval at another level."""
        half = _half(self.components, (1 - level) / 2)
        return self.estimate - half, self.estimate + half

    def detectable(self, alpha: float, power: float) -> float:
        """The effect that a two-sided test at `alpha` finds with probability `power` (`plan.detectable`)."""
        return _half(self.components, alpha / 2) + _half(self.components, 1 - power)

    def record(self) -> dict[str, float]:
        """As findings.json holds it; the estimate stands beside it."""
        return {"se": self.se, "degrees": self.free, "low": self.low, "high": self.high, "p": self.p}


def item_component(se: float, clusters: int) -> Component:
    """The items' part, from a contrast's standard error over `clusters` clusters; raises DataError below two."""
    if clusters < 2:
        raise DataError(f"{clusters} cluster of items tells nothing of their variance; evaluate at least 2")
    return Component(se**2, clusters - 1)


def seed_component(replicates: Sequence[Sequence[float]], seeds: int) -> Component:
    """The seeds' part: the pooled variance of scores within groups of replicates, over the number of seeds averaged.

    Each group holds the scores, on the same items, of one recipe trained with different seeds. Give a recipe's own
    scores, [scores] with seeds=len(scores), for each side that was replicated; or the groups of other recipes and
    seeds=1 where it was not, which assumes that their seeds vary alike. A side without training has no such part.
    Raises DataError where no group has two scores.
    """
    free = sum(len(group) - 1 for group in replicates if group)
    if free < 1 or seeds < 1:
        raise DataError(f"{free + 1} seed a recipe tells nothing of their variance; train at least 2 (better 3)")
    squares = sum(float(((np.asarray(group) - np.mean(group)) ** 2).sum()) for group in replicates if group)
    return Component(squares / free / seeds, free)


def standing_out(replicates: Mapping[str, Sequence[float]]) -> frozenset[str]:
    """The recipes whose runs vary clearly more than those of the other recipes (recipe -> scores).

    Cochran's C (Annals of Eugenics 11, 1941) as an F test of the largest variance against the others together, at 50%
    over all of them, and again without the recipe that stood out. Such a recipe's own variance counts instead of the
    pooled one, which the others keep, since it errs on the wide side for them.
    """
    from scipy.stats import f

    left = {name: group for name, group in replicates.items() if len(group) > 1}
    found: set[str] = set()
    while len(left) > 1:
        variances = {name: float(np.var(group, ddof=1)) for name, group in left.items()}
        top = max(variances, key=lambda name: variances[name])
        rest = seed_component([group for name, group in left.items() if name != top], 1)
        edge = float(f.isf(UNLIKE / len(left), len(left[top]) - 1, rest.free))
        if variances[top] <= edge * rest.variance:
            break
        found.add(top)
        del left[top]
    return frozenset(found)


def combine(estimate: float, components: Sequence[Component], level: float = 0.95) -> Combined:
    """Adds independent parts of the variance; each part's Student's t by its own degrees of freedom.

    The half-width is sqrt(sum t_i^2 variance_i) (Zou and Donner, Statistics in Medicine 27, 2008; the same idea as
    Cochran and Cox, Experimental Designs, 1957, 4.14), and p is the level at which it reaches 0. Satterthwaite's one t
    for all parts is wrong in 8 to 12% where two seeds rule (docs/decisions/statistics.md). Without any spread the
    interval is the estimate, and p is 1 if that is 0, else 0.
    """
    parts = tuple(part for part in components if part.variance > 0)
    variance = sum(part.variance for part in parts)
    if not parts:
        return Combined(estimate, 0.0, math.inf, estimate, estimate, float(estimate == 0))
    free = variance**2 / sum(part.variance**2 / part.free for part in parts)
    half = _half(parts, (1 - level) / 2)
    return Combined(estimate, math.sqrt(variance), free, estimate - half, estimate + half, _p(estimate, parts), parts)


def _half(parts: Sequence[Component], tail: float) -> float:
    from scipy.stats import t

    return math.sqrt(sum(float(t.isf(tail, part.free)) ** 2 * part.variance for part in parts))


def _p(estimate: float, parts: Sequence[Component]) -> float:
    """The two-sided level at which the interval just reaches 0."""
    from scipy.optimize import root_scalar

    def over(log_p: float) -> float:
        return _half(parts, math.exp(log_p) / 2) - abs(estimate)

    if estimate == 0:
        return 1.0
    if over(_LEAST) <= 0:
        return math.exp(_LEAST)
    return math.exp(float(root_scalar(over, bracket=(_LEAST, 0.0), xtol=1e-13).root))
