"""The colour of a change: a class of the page's style sheet, blue for better, orange for worse, in five steps.

Owns the scale. Does not know what changed.
"""

from __future__ import annotations

from collections.abc import Iterable

STEPS = 5  # of colour, either way


def largest_of(changes: Iterable[float | None]) -> float:
    """The change at which the colours end; 1 where nothing changed."""
    return max((abs(change) for change in changes if change is not None), default=1.0) or 1.0


def tint(change: float | None, largest: float) -> str:
    """The colour class of a change: "t3" better, "t-3" worse, "" for none; the scale ends at `largest`."""
    step = 0 if change is None else max(-STEPS, min(STEPS, round(STEPS * change / largest)))
    return f"t{step}" if step else ""
