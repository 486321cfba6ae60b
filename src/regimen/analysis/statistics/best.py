"""Multiple comparisons with the best: which of several numbers may be the largest.

Owns simultaneous intervals of all pairwise differences and what they say of each number against the best of the others
(Hsu, Multiple Comparisons, 1996, chapter 4). Does not know what the numbers are of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from regimen.analysis.statistics.metric_sums import Array
from regimen.analysis.statistics.resampling import LEVEL, Resampled

_LEAST = 1.959964  # the normal quantile of one 95% interval: many are never tighter than one


@dataclass(frozen=True)
class Lead:
    """The interval of a number less the best of the others; `may_be_best`: no other is clearly larger."""

    low: float
    high: float
    may_be_best: bool


def compare_with_best(numbers: Sequence[Resampled], level: float = LEVEL) -> tuple[list[Lead], float]:
    """(each number's lead, the largest difference that any pair may have), all at `level` together.

    The intervals are d +- c se with c the quantile of the largest |d* - d| / se over all pairs and joint draws (max-t;
    Westfall and Young 1993). Up is better. A pair whose draws never differ says nothing and has no bound, unless it is
    one and the same number. At least two numbers.
    """
    count = len(numbers)
    reach = _reach(numbers, level)
    low, high = np.full((count, count), -math.inf), np.full((count, count), math.inf)
    for one in range(count):
        for other in range(count):
            difference = numbers[one] - numbers[other]
            if one != other and difference.se > 0:
                low[one, other] = difference.point - reach * difference.se
                high[one, other] = difference.point + reach * difference.se
    leads = []
    for one in range(count):
        others = [other for other in range(count) if other != one]
        behind, ahead = float(low[one, others].min()), float(high[one, others].min())
        leads.append(Lead(behind, ahead, ahead >= 0))
    apart = ~np.eye(count, dtype=np.bool_)
    return leads, float(high[apart].max())


def _reach(numbers: Sequence[Resampled], level: float) -> float:
    """The reach of the intervals of all pairs, in standard errors."""
    largest: Array = np.zeros(len(numbers[0].draws))
    for one, number in enumerate(numbers):
        for other in numbers[:one]:
            difference = number - other
            if difference.se > 0:
                np.maximum(largest, np.abs(difference.draws - difference.point) / difference.se, out=largest)
    return max(float(np.quantile(largest, level)), _LEAST)
