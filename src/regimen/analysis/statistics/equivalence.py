"""The interval that a margin is held against: is a difference too small to matter?

Owns the 90% interval, whose ends are one-sided 95% bounds, and its caution where few clusters differ. Does not know
margins or contrasts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regimen.analysis.statistics.resampling import Interval, Resampled

INNER_LEVEL = 0.90  # both ends inside the margin: two one-sided tests at 5% (Schuirmann 1987)
_ADDED = 4  # clusters that are added, half of them each way
_ROUNDS = 8  # of a bound and the spread that it implies, until they agree


@dataclass(frozen=True)
class Part:
    """A contrast's part on one task: its number, how many clusters differ, the weight of one whole point."""

    number: Resampled
    differing: int
    weight: float


def inner_interval(whole: Resampled, parts: Mapping[str, Part], level: float = INNER_LEVEL) -> Interval:
    """The wider, end by end, of the BCa interval and of a score interval with four more clusters, two each way.

    A bootstrap cannot show what no cluster showed: where 1 of 164 items differs, it takes the spread of that one for
    the spread of all. So four clusters are added that differ as those do that differ (by a whole point where none
    does), as Bonett and Price (2012, Journal of Educational and Behavioral Statistics 37) add two to paired
    proportions. On one task each bound also takes the spread to be at least that of a true difference as large as
    itself, as score intervals do (Wilson 1927), and half a cluster is added for what cannot be between two counts.
    """
    seen = whole.interval(level)
    ends = [_bound(list(parts.values()), level, sign) for sign in (-1, 1)]
    return Interval(min(seen.low, ends[0]), max(seen.high, ends[1]), seen.degenerate)


def _bound(parts: Sequence[Part], level: float, sign: int) -> float:
    from scipy.special import stdtrit

    free = sum(map(_clusters, parts)) - len(parts)
    if free < 1:
        return sign * math.inf
    reach, lone, bound = float(stdtrit(free, (1 + level) / 2)), len(parts) == 1, 0.0
    for _ in range(_ROUNDS if lone else 1):
        added = [_with_added(part, bound if lone else 0.0) for part in parts]
        half = reach * math.sqrt(sum(variance for _, variance, _ in added))
        bound = sum(centre for centre, _, _ in added) + sign * (half + (added[0][2] / 2 if lone else 0.0))
    return bound


def _with_added(part: Part, bound: float) -> tuple[float, float, float]:
    """A part's centre, its variance and what one cluster is worth, with the added clusters counted."""
    count, point = _clusters(part), part.number.point
    moments, more = _squares(part.number) + count * point**2, count + _ADDED
    each = math.sqrt(moments / part.differing) if part.differing and moments > 0 else part.weight
    centre = count * point / more
    mean_square = max((moments + _ADDED * each**2) / more, each * abs(bound))
    return centre, max(mean_square - centre**2, 0.0) / more, each / more


def _clusters(part: Part) -> int:
    return sum(len(change) for change in part.number.changes.values())


def _squares(number: Resampled) -> float:
    """The sum over clusters of the squared deviation of each one's own difference from their mean (jackknife)."""
    total = 0.0
    for change in number.changes.values():
        pull = (len(change) - 1) * (change - change.mean())
        total += float((pull**2).sum())
    return total
