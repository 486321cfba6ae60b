"""The detectable effect of a test: the smallest that it finds often enough.

Owns minimum detectable effects, before a run (`plan.power`) and after it. Does not know scores or draws, only their
standard errors and counts.
"""

from __future__ import annotations

import math

import numpy as np

POWER = 0.8
ALPHA = 0.05  # family-wise
_STEP = 1e-5  # how closely an effect is searched


def fewest_discordant(alpha: float) -> int:
    """The fewest items (or clusters) that must differ, all one way, for a two-sided p of at most `alpha`: 2/2^k."""
    return max(1, math.ceil(math.log2(2 / alpha) - 1e-9))


def detectable(
    se: float,
    clusters: int,
    alpha: float,
    power: float = POWER,
    free: float | None = None,
    spread: float | None = None,
) -> float | None:
    """The effect that a two-sided test at `alpha` finds with probability `power`, in the units of `se`.

    (t(1 - alpha/2) + t(power)) se, with Student's t of `free` degrees of freedom (default: clusters - 1); Bloom,
    Evaluation Review 19 (1995). `spread` is the standard deviation under the null hypothesis where that is another:
    the first part is then in units of the larger of the two. None where no effect could be found: no spread is seen,
    or there are fewer clusters than must differ.
    """
    from scipy.special import stdtrit

    degrees = clusters - 1 if free is None else free
    if se <= 0 or degrees < 1 or clusters < fewest_discordant(alpha):
        return None
    edge = float(stdtrit(degrees, 1 - alpha / 2)) * max(se, spread or 0.0)
    return edge + float(stdtrit(degrees, power)) * se


def mcnemar_power(items: int, discordance: float, effect: float, alpha: float) -> float:
    """The probability that exact McNemar gives p <= `alpha`.

    `discordance` is the share of items that only one side has right, `effect` the difference of the two shares. An
    effect larger than the discordance is taken to come with as much discordance.
    """
    from scipy.stats import binom

    share = max(discordance, abs(effect))
    if share == 0:
        return 0.0
    counts = np.arange(items + 1)
    ahead = (1 + abs(effect) / share) / 2
    # the largest number on the smaller side that is still significant, or -1
    edge = binom.ppf(alpha / 2, counts, 0.5)
    edge = np.where(binom.cdf(edge, counts, 0.5) <= alpha / 2, edge, edge - 1)
    found = binom.cdf(edge, counts, 1 - ahead) + binom.sf(counts - edge - 1, counts, 1 - ahead)
    return float((binom.pmf(counts, items, min(share, 1.0)) * np.where(edge >= 0, found, 0.0)).sum())


def detectable_mcnemar(
    items: int, discordance: float, alpha: float, power: float = POWER, right: float | None = None
) -> float | None:
    """The difference of two shares that exact McNemar finds with probability `power`; None if not even 1 is found.

    `discordance` is what was seen, and an effect adds to it: with `right`, the share that both sides have right on
    average, as if an effect turned answers whatever the other side says. Without, it is left as it is.
    """

    def found(effect: float) -> float:
        more = effect * (1 - discordance / max(right, 1 - right)) if right is not None else 0.0
        return mcnemar_power(items, min(1.0, discordance + max(0.0, more)), effect, alpha)

    if found(1.0) < power:
        return None
    low, high = 0.0, 1.0
    while high - low > _STEP:
        middle = (low + high) / 2
        low, high = (middle, high) if found(middle) < power else (low, middle)
    return high
