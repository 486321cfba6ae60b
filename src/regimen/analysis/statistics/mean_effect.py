"""One mean effect of several contrasts that share items, and each contrast's own effect drawn towards it.

Owns the random-effects model y = mu + u + e with u ~ N(0, tau^2) between contrasts and e ~ N(0, S) within, S being full
since contrasts share models and items. tau^2 is the estimator of Hedges (Psychological Bulletin 93, 1983) with the
covariances counted; the interval is Student's t with k - 1 degrees of freedom; each effect is drawn towards the mean by
empirical Bayes (Morris, Journal of the American Statistical Association 78, 1983). Does not know contrasts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from regimen.analysis.statistics.metric_sums import Array
from regimen.analysis.statistics.resampling import LEVEL


@dataclass(frozen=True)
class Pooled:
    """The mean effect with its interval, the standard deviation between effects, and each effect drawn to the mean."""

    estimate: float
    low: float
    high: float
    between: float
    shrunken: Array  # (effects,)


def pool(effects: Array, covariance: Array, level: float = LEVEL) -> Pooled:
    """The mean of (effects,) whose errors have `covariance` (effects, effects), its diagonal above 0; two at least.

    Each effect weighs 1 / (its variance + tau^2); the variance of the mean counts the covariances. Raises ValueError
    for fewer than two effects.
    """
    from scipy.stats import t

    count = len(effects)
    if count < 2:
        raise ValueError(f"{count} effect has no mean with an interval; give at least 2")
    own = np.diag(covariance)
    spread = float(((effects - effects.mean()) ** 2).sum())
    expected = float(own.sum() - covariance.sum() / count)
    between = max(0.0, (spread - expected) / (count - 1))
    weights = 1 / (own + between)
    weights /= weights.sum()
    mean = float(weights @ effects)
    variance = float(weights @ covariance @ weights + between * (weights**2).sum())
    half = float(t.ppf((1 + level) / 2, count - 1)) * math.sqrt(max(variance, 0.0))
    shrunken = mean + between / (between + own) * (effects - mean)
    return Pooled(mean, mean - half, mean + half, math.sqrt(between), shrunken)
