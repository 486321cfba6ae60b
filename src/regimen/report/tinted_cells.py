"""Table cells coloured by a change: blue is better, orange is worse.

Owns a cell's parts and its colour. Does not know what changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from regimen.report.charts.shapes import DIVERGING, colour_at, ink_on


@dataclass(frozen=True)
class TintedCell:
    """A cell's text and mark, the words shown on hovering, its colours ("" without a change) and its link."""

    text: str
    says: str
    change: float | None
    colour: str
    ink: str
    mark: str = ""
    link: str = ""
    group: str = ""
    own: bool = False


def largest_of(changes: Iterable[float | None]) -> float:
    """The change at which the colours end; 1 where nothing changed."""
    return max((abs(change) for change in changes if change is not None), default=1.0) or 1.0


def tinted(
    change: float | None,
    largest: float,
    text: str,
    says: str = "",
    *,
    mark: str = "",
    link: str = "",
    group: str = "",
    own: bool = False,
) -> TintedCell:
    """A cell in the colour of `change`, on a scale that ends at plus and minus `largest`."""
    colour = colour_at(DIVERGING, 0.5 + change / largest / 2) if change is not None else ""
    return TintedCell(text, says, change, colour, ink_on(colour) if colour else "", mark, link, group, own)
