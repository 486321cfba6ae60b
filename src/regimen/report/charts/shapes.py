"""The kinds of chart a report draws, as plain values.

Owns what a chart holds and the colours. Does not know how it is drawn, nor where its numbers come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

# The colours of series, as the page's style sheet has them for light screens (there are others for dark ones). Each has
# a contrast of 3 or more on white, and any two lie apart for colour-blind eyes too; a test holds both. Lines and points
# differ in dash and shape besides, so that nothing is said by colour alone.
COLOURS = ("#2551bf", "#a7510a", "#204501", "#987cf7", "#ad8c21", "#408e88", "#6c1259", "#6a5865")
# ColorBrewer's PuOr, five classes: blue is better, orange is worse.
DIVERGING = ((0.0, "#b35806"), (0.25, "#f1a340"), (0.5, "#f7f7f7"), (0.75, "#92c5de"), (1.0, "#2166ac"))
# Of one direction: light to dark blue.
SEQUENTIAL = ((0.0, "#deebf7"), (0.5, "#6baed6"), (1.0, "#08306b"))


@dataclass(frozen=True)
class Axis:
    """A title and a scale."""

    title: str
    log: bool = False


@dataclass(frozen=True)
class Series:
    """One line, or one set of points; `low` and `high` are the ends of the points' intervals, along y.

    `band` draws the interval as a band behind the line. `hover` and `links` (anchors in the page) go with the points.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    style: Literal["line", "points", "both"] = "line"
    colour: int = 0
    variant: int = 0
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    band: bool = False
    hover: tuple[str, ...] = ()
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chart:
    """What all charts have: a name (a file and an anchor), a title, and a description for readers who cannot see it."""

    name: str
    title: str
    alt: str


@dataclass(frozen=True)
class Lines(Chart):
    """Lines and points over two numeric axes; `zero` draws the line y = 0."""

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    height: int = 420
    legend: bool = True
    zero: bool = False


@dataclass(frozen=True)
class Mark:
    """One row's point with its interval; `strong` where it is clear of zero after correction.

    Rows of one `under` that follow each other stand under it as a heading.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    strong: bool = False
    hover: str = ""
    link: str = ""
    under: str = ""


@dataclass(frozen=True)
class Rows(Chart):
    """A point with an interval in each labelled row, around a line at zero."""

    x: Axis
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Bar:
    """One bar of a Gantt chart."""

    label: str
    start: float
    end: float
    group: str
    link: str = ""


@dataclass(frozen=True)
class Gantt(Chart):
    """Bars over time, coloured by group."""

    x: Axis
    bars: tuple[Bar, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class Ternary(Chart):
    """Mixtures of three parts; a point's `y` is its value, its `x` is not used."""

    corners: tuple[str, str, str]
    parts: tuple[tuple[float, float, float], ...]
    values: tuple[float, ...]
    names: tuple[str, ...]
    links: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Matrix(Chart):
    """A table of changes in colour, each with a word of text; for papers (the page has a table of its own)."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    texts: tuple[tuple[str, ...], ...]


def colour_at(scale: tuple[tuple[float, str], ...], share: float) -> str:
    """The colour at `share` (0 to 1) of a scale, as #rrggbb."""
    share = min(1.0, max(0.0, share))
    for (left, one), (right, other) in pairwise(scale):
        if share <= right:
            part = (share - left) / (right - left)
            mixed = [round(a + (b - a) * part) for a, b in zip(_rgb(one), _rgb(other), strict=True)]
            return "#{:02x}{:02x}{:02x}".format(*mixed)
    return scale[-1][1]


def ink_on(colour: str) -> str:
    """Black or white, whichever reads better on `colour` (WCAG 2 relative luminance)."""
    parts = [part / 255 for part in _rgb(colour)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
