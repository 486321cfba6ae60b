"""Scales, ticks and marks of SVG charts.

Owns how numbers become places and round tick values. Does not know charts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

LETTER = 0.56  # mean width of a letter of the sans-serif fonts, of its size
LONGEST = 44


class Scale:
    """Maps values onto `start` to `end` in pixels, with a margin of 4% unless the values are all the same."""

    def __init__(self, values: Sequence[float], start: float, end: float, log: bool = False):
        self.log = log
        usable = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
        low, high = (min(usable), max(usable)) if usable else (1.0, 10.0) if log else (0.0, 1.0)
        self.low, self.high = self._turn(low), self._turn(high)
        if self.high - self.low <= 1e-9 * max(abs(self.high), abs(self.low)):
            self.low, self.high = self.low - 0.5, self.high + 0.5
        margin = 0.04 * (self.high - self.low)
        self.low, self.high = self.low - margin, self.high + margin
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        return self.start + (self._turn(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def _turn(self, value: float) -> float:
        return math.log10(value) if self.log and value > 0 else -math.inf if self.log else value

    def ticks(self) -> list[tuple[float, str]]:
        """Round values inside the scale, with their words."""
        return [
            (value, words(value)) for value in (self._log_ticks() if self.log else round_values(self.low, self.high))
        ]

    def _log_ticks(self) -> list[float]:
        powers = range(math.floor(self.low), math.ceil(self.high) + 1, 1 + round(self.high - self.low) // 10)
        factors = (1, 2, 5) if len(powers) <= 4 else (1,)
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        inside = [value for value in ticks if self.low <= math.log10(value) <= self.high]
        return inside if len(inside) > 1 else round_values(10**self.low, 10**self.high)


def round_values(low: float, high: float) -> list[float]:
    """About six round numbers from `low` to `high`."""
    raw = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step)
    return [float(f"{index * step:.12g}") + 0.0 for index in range(first, math.floor(high / step) + 1)]


def words(value: float) -> str:
    """A tick's number in few letters."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def width_of(labels: Iterable[str], size: float = 12, longest: int = LONGEST) -> float:
    """About how wide the longest label is, in pixels."""
    return LETTER * size * max((min(len(label), longest) for label in labels), default=4)


def shortened(label: str, longest: int = LONGEST) -> str:
    """The label, cut where it is too long."""
    return label if len(label) <= longest else label[: longest - 1] + "…"


def mark(x: float, y: float, shape: int, colour: str) -> str:
    """A small filled shape: circle, square, diamond, triangle, plus."""
    fill = f'style="fill:{colour}"'
    kind = shape % 5
    if kind == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {fill}/>'
    if kind == 1:
        return f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" {fill}/>'
    corners = {
        2: ((0, -5), (5, 0), (0, 5), (-5, 0)),
        3: ((0, -5), (5, 4), (-5, 4)),
        4: (
            *((-1.5, -5), (1.5, -5), (1.5, -1.5), (5, -1.5), (5, 1.5), (1.5, 1.5)),
            *((1.5, 5), (-1.5, 5), (-1.5, 1.5), (-5, 1.5), (-5, -1.5), (-1.5, -1.5)),
        ),
    }[kind]
    joined = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{joined}" {fill}/>'
