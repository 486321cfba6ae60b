"""The time of a training step of K adapters in lockstep: measured, or estimated from a plan's rate.

Owns the curve and its default. Does not measure, and does not know plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

WIDTHS = (8, 4, 2, 1)  # adapters together, wide before narrow
ONCE = 0.35  # of a step of one adapter, paid once however many train together: launches, the reading of the weights


@dataclass(frozen=True)
class StepTimes:
    """Hours of one step of K adapters, for some K in ascending order, and the origin of the figures in words."""

    hours: tuple[tuple[int, float], ...]
    source: str

    @classmethod
    def estimated(cls, steps_per_hour: float) -> StepTimes:
        """For a device on which one adapter alone takes so many steps an hour: a part that is paid once, and a part for
        each adapter. An estimate of one H100 at 8 x 512 tokens of Qwen2-0.5B, not measured."""
        points = tuple((k, (ONCE + (1 - ONCE) * k) / steps_per_hour) for k in reversed(WIDTHS))
        return cls(points, "estimated from the plan's rate")

    @property
    def widths(self) -> tuple[int, ...]:
        """The known K, wide before narrow; wider ones may not fit into memory."""
        return tuple(sorted((count for count, _ in self.hours), reverse=True))

    def at(self, count: int) -> float:
        """Hours of a step of `count` adapters, on straight lines between the known; beyond them in proportion."""
        first, last = self.hours[0], self.hours[-1]
        if count <= first[0]:
            return first[1] * count / first[0]
        for (below, low), (above, high) in pairwise(self.hours):
            if count <= above:
                return low + (high - low) * (count - below) / (above - below)
        return last[1] * count / last[0]
