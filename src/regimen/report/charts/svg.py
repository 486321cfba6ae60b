"""Charts as SVG: what the page shows, on the screen and in print, and the files for a paper.

Owns the drawing. Marks are plain shapes with a title each; text keeps its words. The same chart gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from regimen.report.charts import scales
from regimen.report.charts.shapes import (
    COLOURS,
    DIVERGING,
    SEQUENTIAL,
    Chart,
    Gantt,
    Lines,
    Matrix,
    Rows,
    Series,
    Ternary,
    colour_at,
    ink_on,
)

WIDTH = 900
ROW_LETTERS = 62  # of the label of a row
DASH = ("", ' stroke-dasharray="7 4"', ' stroke-dasharray="2 3"', ' stroke-dasharray="7 3 2 3"')
# In a page the page's own style sheet colours these classes, for light and dark.
PAPER = (
    "text{font:12px Helvetica,Arial,sans-serif}.ink{fill:#1c2733}.soft{fill:#5b6b7b}"
    ".axis{stroke:#1c2733}.grid{stroke:#dfe5eb}.zero{stroke:#1c2733}"
)
# Of differences: what a page calls them, and the same on paper.
SIDES = {"yes": "#2166ac", "no": "#b35806", "soft": "#6b7682", "page": "#ffffff"}


def svg_of(chart: Chart, *, standalone: bool = False, width: int = WIDTH) -> str:
    """The chart; `standalone` as a file of its own (white ground, own style, no links)."""
    canvas = Canvas(width, standalone=standalone)
    if isinstance(chart, Lines):
        _lines(chart, canvas)
    elif isinstance(chart, Rows):
        _rows(chart, canvas)
    elif isinstance(chart, Gantt):
        _gantt(chart, canvas)
    elif isinstance(chart, Ternary):
        _ternary(chart, canvas)
    elif isinstance(chart, Matrix):
        _matrix(chart, canvas)
    return canvas.finish(chart)


class Canvas:
    """Collects shapes and turns them into one document."""

    def __init__(self, width: int, standalone: bool):
        self.width = width
        self.height = 0
        self._standalone = standalone
        self._linked = False
        self._shapes: list[str] = []

    def tone(self, index: int) -> str:
        """The colour of a series: the style sheet's in a page, so that it follows light and dark."""
        index %= len(COLOURS)
        return COLOURS[index] if self._standalone else f"var(--c{index})"

    def side(self, name: str) -> str:
        """A colour of `SIDES`."""
        return SIDES[name] if self._standalone else f"var(--{name})"

    def add(self, shape: str, title: str = "", link: str = "") -> None:
        """Adds an element; `title` is its tool tip, `link` an anchor of the page."""
        if title:
            name = shape[1:].split(" ", 1)[0]
            shape = shape.removesuffix("/>") + f"><title>{escape(title)}</title></{name}>"
        if link and not self._standalone:
            self._linked = True
            shape = f'<a href="#{escape(link)}" tabindex="-1">{shape}</a>'
        self._shapes.append(shape)

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", kind: str = "ink", more: str = "") -> None:
        """Adds a text."""
        where = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}"'
        self._shapes.append(f"<text {where}{more}>{escape(words)}</text>")

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "", more: str = "") -> None:
        """Adds a straight line."""
        named = f' class="{kind}"' if kind else ""
        self.add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{named}{more}/>')

    def open(self) -> None:
        """Begins a series, which a pointer on it brings out."""
        self._shapes.append('<g class="series">')

    def close(self) -> None:
        """Ends it."""
        self._shapes.append("</g>")

    def finish(self, chart: Chart) -> str:
        """The document. A picture that holds links is a group: what is inside a picture cannot be reached."""
        role = "group" if self._linked else "img"
        size = f'viewBox="0 0 {self.width} {self.height:.0f}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="{role}" aria-label="{escape(chart.alt)}"'
        if not self._standalone:
            return head + ">" + "".join(self._shapes) + "</svg>"
        ground = f'<rect width="{self.width}" height="{self.height:.0f}" fill="#ffffff"/>'
        size = f' width="{self.width}" height="{self.height:.0f}"'
        shapes = "\n".join(self._shapes)
        return f"{head}{size}>\n<title>{escape(chart.title)}</title><style>{PAPER}</style>{ground}\n{shapes}\n</svg>\n"


def _lines(chart: Lines, canvas: Canvas) -> None:
    left, right, top, bottom = 64.0, 16.0, 14.0, 46.0
    legend = [series for series in chart.series if series.name] if chart.legend else []
    named = list({series.name: series for series in legend}.values())
    per_row = max(1, int((canvas.width - left) // 210))
    canvas.height = chart.height + 18 * math.ceil(len(named) / per_row)
    xs = [x for series in chart.series for x in series.x]
    ys = [y for s in chart.series for y in (*s.y, *(v for v in (*s.low, *s.high) if v is not None))]
    horizontal = scales.Scale(xs, left, canvas.width - right, chart.x.log)
    vertical = scales.Scale([*ys, 0.0] if chart.zero else ys, chart.height - bottom, top, chart.y.log)
    for value, words in vertical.ticks():
        canvas.line(left, vertical(value), canvas.width - right, vertical(value), "grid")
        canvas.text(left - 6, vertical(value) + 4, words, anchor="end", kind="soft")
    for value, words in horizontal.ticks():
        canvas.line(horizontal(value), chart.height - bottom, horizontal(value), chart.height - bottom + 4, "axis")
        canvas.text(horizontal(value), chart.height - bottom + 17, words, anchor="middle", kind="soft")
    if chart.zero:
        canvas.line(left, vertical(0), canvas.width - right, vertical(0), "zero")
    canvas.text((left + canvas.width - right) / 2, chart.height - 10, chart.x.title, anchor="middle")
    middle = (top + chart.height - bottom) / 2
    canvas.text(14, middle, chart.y.title, anchor="middle", more=f' transform="rotate(-90 14 {middle:.1f})"')
    for series in chart.series:
        _series(series, canvas, horizontal, vertical)
    for index, series in enumerate(named):
        x, y = left + 210 * (index % per_row), chart.height + 14 + 18 * (index // per_row)
        canvas.line(x, y - 4, x + 22, y - 4, more=_stroke(series, canvas))
        if series.style != "line":
            canvas.add(scales.mark(x + 11, y - 4, series.variant, canvas.tone(series.colour)))
        canvas.text(x + 28, y, scales.shortened(series.name, 28))


def _stroke(series: Series, canvas: Canvas) -> str:
    ink = f"fill:none;stroke:{canvas.tone(series.colour)}"
    return f' style="{ink}" stroke-width="1.5"{DASH[series.variant % len(DASH)]}'


def _series(series: Series, canvas: Canvas, horizontal: scales.Scale, vertical: scales.Scale) -> None:
    points = [
        (horizontal(x), vertical(y)) for x, y in zip(series.x, series.y, strict=True) if math.isfinite(horizontal(x))
    ]
    ends = list(zip(series.x, series.low, series.high, strict=True)) if series.low else []
    tone = canvas.tone(series.colour)
    canvas.open()
    if series.band:
        edge = [(x, high) for x, _, high in ends if high is not None]
        edge += [(x, low) for x, low, _ in reversed(ends) if low is not None]
        joined = " ".join(f"{horizontal(x):.1f},{vertical(y):.1f}" for x, y in edge)
        canvas.add(f'<polygon points="{joined}" style="fill:{tone}" opacity="0.18"/>')
    else:
        for x, low, high in ends:
            if low is not None and high is not None:
                more = f' style="stroke:{tone}"'
                canvas.line(horizontal(x), vertical(low), horizontal(x), vertical(high), more=more)
    if series.style != "points":
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        canvas.add(f'<polyline points="{joined}"{_stroke(series, canvas)}/>', series.name)
    if series.style != "line":
        for index, (x, y) in enumerate(points):
            link = series.links[index] if series.links else ""
            hover = series.hover[index] if series.hover else series.name
            canvas.add(scales.mark(x, y, series.variant, tone), hover, link)
    canvas.close()


def _rows(chart: Rows, canvas: Canvas) -> None:
    left = 16 + scales.width_of((mark.label for mark in chart.marks), longest=ROW_LETTERS)
    top, step = 12.0, 22.0
    headed = [index for index, mark in enumerate(chart.marks) if mark.under and mark.under != _above(chart, index)]
    bottom = top + step * (len(chart.marks) + len(headed))
    canvas.height = int(bottom + 46)
    ends = [v for mark in chart.marks for v in (mark.value, mark.low, mark.high) if v is not None]
    scale = scales.Scale([*ends, 0.0], left, canvas.width - 20.0)
    for value, words in scale.ticks():
        canvas.line(scale(value), top, scale(value), bottom, "zero" if value == 0 else "grid")
        canvas.text(scale(value), bottom + 16, words, anchor="middle", kind="soft")
    canvas.text((left + canvas.width - 20) / 2, bottom + 36, chart.x.title, anchor="middle")
    for index, mark in enumerate(chart.marks):
        heads = sum(place <= index for place in headed)
        y = top + step * (index + heads + 0.5)
        if index in headed:
            canvas.text(8, y - step + 4, mark.under, kind="soft")
        canvas.text(left - 8, y + 4, scales.shortened(mark.label, ROW_LETTERS), anchor="end")
        ink = canvas.side(("yes" if mark.value > 0 else "no") if mark.strong else "soft")
        if mark.low is not None and mark.high is not None:
            canvas.line(scale(mark.low), y, scale(mark.high), y, more=f' style="stroke:{ink}" stroke-width="2"')
        look = f"fill:{ink if mark.strong else canvas.side('page')};stroke:{ink}"
        shape = f'<circle cx="{scale(mark.value):.1f}" cy="{y:.1f}" r="4.5" style="{look}"/>'
        canvas.add(shape, mark.hover, mark.link)


def _above(chart: Rows, index: int) -> str:
    return chart.marks[index - 1].under if index else ""


def _gantt(chart: Gantt, canvas: Canvas) -> None:
    labels = list(dict.fromkeys(bar.label for bar in chart.bars))
    left, top, step = 16 + scales.width_of(labels, 10), 26.0, 13.0
    bottom = top + step * len(labels)
    canvas.height = int(bottom + 44)
    scale = scales.Scale([0.0, *(bar.end for bar in chart.bars)], left, canvas.width - 16.0)
    for index, group in enumerate(chart.groups):
        place = f'x="{left + 80 * index:.1f}" y="4" width="10" height="10"'
        canvas.add(f'<rect {place} style="fill:{canvas.tone(index)}"/>')
        canvas.text(left + 80 * index + 14, 13, scales.shortened(group, 9))
    for value, words in scale.ticks():
        canvas.line(scale(value), top, scale(value), bottom, "grid")
        canvas.text(scale(value), bottom + 14, words, anchor="middle", kind="soft")
    canvas.text((left + canvas.width) / 2, bottom + 34, chart.x.title, anchor="middle")
    place = {label: index for index, label in enumerate(labels)}
    small = ' style="font-size:10px"'
    for label in labels:
        y = top + step * (place[label] + 0.5) + 3.5
        canvas.text(left - 6, y, scales.shortened(label), anchor="end", more=small)
    for bar in chart.bars:
        x, y = scale(bar.start), top + step * place[bar.label] + 1.5
        length = max(1.0, scale(bar.end) - x)
        tone = canvas.tone(_at(chart, bar.group))
        shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{length:.1f}" height="10" style="fill:{tone}"/>'
        canvas.add(shape, f"{bar.label}: {bar.start:.2f} to {bar.end:.2f}", bar.link)


def _at(chart: Gantt, group: str) -> int:
    return chart.groups.index(group) if group in chart.groups else len(chart.groups)


def _ternary(chart: Ternary, canvas: Canvas) -> None:
    side, left, top = 420.0, (canvas.width - 420.0) / 2, 40.0
    tall = side * math.sqrt(3) / 2
    canvas.height = int(top + tall + 80)

    def place(parts: Sequence[float]) -> tuple[float, float]:
        total = sum(parts) or 1.0
        one, _, three = (part / total for part in parts)
        return left + side * (three + one / 2), top + tall * (1 - one)

    corners = [place((1, 0, 0)), place((0, 1, 0)), place((0, 0, 1))]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    canvas.add(f'<polygon points="{joined}" fill="none" class="axis"/>')
    for share in (0.25, 0.5, 0.75):
        rest = 1 - share
        for one, other in (
            ((share, rest, 0), (share, 0, rest)),
            ((rest, share, 0), (0, share, rest)),
            ((rest, 0, share), (0, rest, share)),
        ):
            canvas.line(*place(one), *place(other), kind="grid")
    canvas.text(corners[0][0], top - 10, chart.corners[0], anchor="middle")
    canvas.text(corners[1][0], top + tall + 20, chart.corners[1], anchor="middle")
    canvas.text(corners[2][0], top + tall + 20, chart.corners[2], anchor="middle")
    low, high = (min(chart.values), max(chart.values)) if chart.values else (0.0, 1.0)
    for parts, value, name, link in zip(chart.parts, chart.values, chart.names, chart.links, strict=True):
        x, y = place(parts)
        tone = colour_at(SEQUENTIAL, (value - low) / (high - low) if high > low else 0.5)
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="{tone}" stroke="#555555"/>'
        canvas.add(shape, f"{name}: {value:+.3f} {chart.unit}", link)
    words = f"{chart.unit}: light {low:+.3f}, dark {high:+.3f}"
    canvas.text(canvas.width / 2, top + tall + 56, words, anchor="middle", kind="soft")


def _matrix(chart: Matrix, canvas: Canvas) -> None:
    left, top, tall = 16 + scales.width_of(chart.rows, 10), 120.0, 16.0
    wide = (canvas.width - left - 10) / max(1, len(chart.columns))
    canvas.height = int(top + tall * len(chart.rows) + 12)
    known = [abs(value) for row in chart.values for value in row if value is not None]
    top_value = max(known, default=1.0) or 1.0
    for index, column in enumerate(chart.columns):
        x = left + wide * (index + 0.5)
        turned = f' transform="rotate(-40 {x:.1f} {top - 8:.1f})"'
        canvas.text(x, top - 8, scales.shortened(column, 24), more=turned)
    small = ' style="font-size:10px"'
    for number, row in enumerate(chart.rows):
        y = top + tall * number
        canvas.text(left - 6, y + 12, scales.shortened(row), anchor="end", more=small)
        for index, value in enumerate(chart.values[number]):
            x = left + wide * index
            words = chart.texts[number][index]
            if value is not None:
                tone = colour_at(DIVERGING, 0.5 + value / top_value / 2)
                box = f'x="{x:.1f}" y="{y:.1f}" width="{wide - 1:.1f}" height="{tall - 1:.1f}"'
                canvas.add(f'<rect {box} fill="{tone}"/>', f"{row}, {chart.columns[index]}: {words}")
                more = f' style="font-size:10px;fill:{ink_on(tone)}"'
            else:
                more = small
            canvas.text(x + wide / 2, y + 12, words, anchor="middle", kind="soft", more=more)
