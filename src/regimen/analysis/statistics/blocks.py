"""A paired difference over few blocks: does its sign hold?

Owns the sign-flip test over blocks and Student's interval of their mean. Does not know what a block is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_MOST = 14  # blocks whose signs are flipped in every way; more are flipped at random
_FLIPS = 19_999
LEAST = 6  # blocks, below which no two-sided p-value reaches 5%: 2 / 2^5 is 6.25%


def flip_p(differences: Sequence[float]) -> float:
    """The two-sided p-value of a mean of differences, one a block, whose signs are as likely one way as the other.

    In every way for up to 14 blocks, else in 19,999 random ways by (count + 1) / (flips + 1) (Phipson and Smyth 2010).
    1 where there are none.
    """
    values = np.asarray(differences, dtype=np.float64)
    if not len(values):
        return 1.0
    edge = abs(values.sum()) - 1e-12 * max(1.0, float(np.abs(values).sum()))
    if len(values) <= _MOST:
        signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
        return float((np.abs(signs @ values) >= edge).mean())
    signs = 1 - 2 * np.random.default_rng(len(values)).integers(0, 2, (_FLIPS, len(values)))
    return (1 + int((np.abs(signs @ values) >= edge).sum())) / (_FLIPS + 1)


def mean_interval(differences: Sequence[float], level: float) -> tuple[float, float]:
    """Student's interval of the mean over blocks; without bounds for fewer than two."""
    from scipy.special import stdtrit

    count = len(differences)
    if count < 2:
        return -math.inf, math.inf
    centre = float(np.mean(differences))
    half = float(stdtrit(count - 1, (1 + level) / 2)) * float(np.std(differences, ddof=1)) / count**0.5
    return centre - half, centre + half
