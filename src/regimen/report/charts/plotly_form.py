"""Charts as plotly figures: plain JSON, drawn by the script in the page, which puts in the colours of the theme.

Owns the mapping. Text is escaped here, since plotly reads a subset of HTML in names, labels and hover texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from regimen.report.charts.scales import Scale
from regimen.report.charts.shapes import (
    COLOURS,
    DASHES,
    SEQUENTIAL,
    SHAPES,
    Axis,
    Chart,
    Gantt,
    Lines,
    Rows,
    Series,
    Ternary,
)

Figure = dict[str, Any]
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
STRONG, WEAK = COLOURS[0], "#8a94a0"


def plotly_of(chart: Chart) -> Figure | None:
    """The figure, or None for a kind that the page shows as a table."""
    if isinstance(chart, Lines):
        return _lines(chart)
    if isinstance(chart, Rows):
        return _rows(chart)
    if isinstance(chart, Gantt):
        return _gantt(chart)
    if isinstance(chart, Ternary):
        return _ternary(chart)
    return None


def colour(index: int) -> str:
    """The colour of a series."""
    return COLOURS[index % len(COLOURS)]


def text(value: str) -> str:
    """Data as plotly shows it: no tags, no templates."""
    return escape(value, quote=False).replace("%{", "%&#123;")


def _layout(height: int, **more: Any) -> Figure:
    margin = {"l": 8, "r": 8, "t": 26, "b": 8}
    return {"height": height, "margin": margin, "hovermode": "closest", "showlegend": False} | more


def _axis(axis: Axis, values: Sequence[float] = (), **more: Any) -> Figure:
    kind: Figure = {}
    if axis.log:
        ticks = Scale(values, 0, 1, log=True).ticks()
        kind = {"type": "log", "tickvals": [value for value, _ in ticks], "ticktext": [words for _, words in ticks]}
    return {"title": {"text": text(axis.title)}, "automargin": True} | kind | more


def _lines(chart: Lines) -> Figure:
    named: set[str] = set()
    data = []
    for series in chart.series:
        for trace in _series(series):
            shown = trace.get("showlegend", True) and series.name not in named
            data.append(trace | {"showlegend": shown, "legendgroup": text(series.name)})
            named |= {series.name} if shown else set()
    rows = len(named) // 4 + 1
    extra = {"showlegend": True, "legend": LEGEND} if chart.legend else {}
    x = _axis(chart.x, [value for series in chart.series for value in series.x])
    y = _axis(chart.y, [value for series in chart.series for value in series.y], zeroline=chart.zero)
    layout = _layout(chart.height + (22 * rows if chart.legend else 0), xaxis=x, yaxis=y, **extra)
    return {"data": data, "layout": layout}


def _series(series: Series) -> list[Figure]:
    ink = colour(series.colour)
    trace: Figure = {
        "type": "scatter",
        "mode": {"line": "lines", "points": "markers", "both": "lines+markers"}[series.style],
        "name": text(series.name),
        "x": list(series.x),
        "y": list(series.y),
        "line": {"width": 1.5, "color": ink, "dash": DASHES[series.variant % len(DASHES)]},
        "marker": {"size": 8, "color": ink, "symbol": SHAPES[series.variant % len(SHAPES)]},
        "hovertemplate": "%{hovertext}<extra></extra>",
        "hovertext": [text(words) for words in series.hover]
        or [f"{text(series.name)}: {x:g}, {y:.4g}" for x, y in zip(series.x, series.y, strict=True)],
        "customdata": list(series.links) or None,
        "meta": {"group": series.group},
    }
    if not series.low:
        return [trace]
    if not series.band:
        trace["error_y"] = _errors(series.y, series.low, series.high, ink)
        return [trace]
    edge = {
        "type": "scatter",
        "mode": "lines",
        "x": [*series.x, *reversed(series.x)],
        "y": [*series.high, *reversed(series.low)],
        "fill": "toself",
        "fillcolor": ink,
        "opacity": 0.18,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "meta": {"group": series.group},
    }
    return [edge, trace]


def _errors(at: tuple[float, ...], low: tuple[float | None, ...], high: tuple[float | None, ...], ink: str) -> Figure:
    up = [0 if end is None else max(0.0, end - value) for value, end in zip(at, high, strict=True)]
    down = [0 if end is None else max(0.0, value - end) for value, end in zip(at, low, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": up,
        "arrayminus": down,
        "color": ink,
        "thickness": 1,
        "width": 3,
    }


def _rows(chart: Rows) -> Figure:
    data = []
    for strong, name in ((True, "clear after correction"), (False, "not clear")):
        marks = [mark for mark in chart.marks if mark.strong == strong]
        if not marks:
            continue
        values = tuple(mark.value for mark in marks)
        ink = STRONG if strong else WEAK
        low, high = tuple(mark.low for mark in marks), tuple(mark.high for mark in marks)
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": list(values),
                "y": [text(mark.label) for mark in marks],
                "error_x": _errors(values, low, high, ink),
                "marker": {"size": 9, "color": ink, "symbol": "circle" if strong else "circle-open"},
                "hovertext": [text(mark.hover) for mark in marks],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "customdata": [mark.link for mark in marks],
            }
        )
    labels = [text(mark.label) for mark in chart.marks]
    rows = {
        "type": "category",
        "autorange": "reversed",
        "automargin": True,
        "categoryorder": "array",
        "categoryarray": labels,
    }
    height = max(150, 90 + 22 * len(labels))  # below, the title of the axis has no room under its ticks
    layout = _layout(height, xaxis=_axis(chart.x, zeroline=True), yaxis=rows)
    return {"data": data, "layout": layout | {"showlegend": True, "legend": LEGEND}}


def _gantt(chart: Gantt) -> Figure:
    data = []
    for index, group in enumerate(chart.groups):
        bars = [bar for bar in chart.bars if bar.group == group]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": text(group),
                "y": [text(bar.label) for bar in bars],
                "base": [round(bar.start, 4) for bar in bars],
                "x": [round(max(bar.end - bar.start, 1e-3), 4) for bar in bars],
                "marker": {"color": colour(index)},
                "hovertext": [f"{text(bar.label)}: {bar.start:.2f} to {bar.end:.2f}" for bar in bars],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "customdata": [bar.link for bar in bars],
                "meta": {"group": group},
            }
        )
    labels = list(dict.fromkeys(text(bar.label) for bar in chart.bars))
    rows = {
        "type": "category",
        "autorange": "reversed",
        "automargin": True,
        "tickfont": {"size": 10},
        "categoryorder": "array",
        "categoryarray": labels,
    }
    layout = _layout(100 + 14 * len(labels), xaxis=_axis(chart.x), yaxis=rows, barmode="overlay")
    return {"data": data, "layout": layout | {"showlegend": True, "legend": LEGEND}}


def _ternary(chart: Ternary) -> Figure:
    one, two, three = (text(corner) for corner in chart.corners)
    trace = {
        "type": "scatterternary",
        "mode": "markers",
        "a": [part[0] for part in chart.parts],
        "b": [part[1] for part in chart.parts],
        "c": [part[2] for part in chart.parts],
        "marker": {
            "size": 13,
            "color": list(chart.values),
            "colorscale": [list(stop) for stop in SEQUENTIAL],
            "line": {"width": 1, "color": "#555555"},
            "colorbar": {"title": {"text": text(chart.unit)}, "thickness": 12},
        },
        "hovertext": [
            f"{text(name)}: {value:+.3f} {text(chart.unit)}"
            for name, value in zip(chart.names, chart.values, strict=True)
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "customdata": list(chart.links),
    }
    axes = {
        name: {"title": {"text": title}, "tickformat": ".0%"}
        for name, title in (("aaxis", one), ("baxis", two), ("caxis", three))
    }
    layout = _layout(460, ternary={"sum": 1, **axes})
    return {"data": [trace], "layout": layout | {"margin": {"l": 60, "r": 60, "t": 50, "b": 50}}}
