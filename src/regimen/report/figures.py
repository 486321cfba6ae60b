"""Figures of a report, as plotly JSON: heat map, leaderboard, learning curves, Gantt.

Owns what is drawn and in which colours (blue-orange, readable without red and green). Does not know where numbers
come from beyond the tables, nor the page they stand on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from regimen.results import better_sign
from regimen.results.tables import RunTables

Figure = dict[str, Any]

DIVERGING = [[0.0, "#b35806"], [0.25, "#f1a340"], [0.5, "#f7f7f7"], [0.75, "#67a9cf"], [1.0, "#2166ac"]]
PHASE_COLOURS = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#ee6677", "#aa3377", "#bbbbbb", "#332288")
FONT = {"family": "system-ui, sans-serif", "size": 12}


def _layout(height: int, **more: Any) -> Figure:
    base = {
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 30, "b": 10},
        "font": FONT,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
    return base | more


def phase_colours(tables: RunTables) -> dict[str, str]:
    """A colour for each phase of the plan."""
    phases = list(dict.fromkeys(p.experiment.phase for p in tables.plan.experiments))
    return {phase: PHASE_COLOURS[index % len(PHASE_COLOURS)] for index, phase in enumerate(phases)}


def heat_map(tables: RunTables) -> Figure | None:
    """Experiments x tasks: the change of each headline metric against zero-shot, up is better; missing cells empty."""
    tasks = tables.plan.study.panel("main")
    trained = [p.experiment for p in tables.plan.experiments if p.experiment.legs]
    if not trained:
        return None
    values: list[list[float | None]] = []
    texts: list[list[str]] = []
    for experiment in trained:
        row: list[float | None] = []
        words: list[str] = []
        for name, task in tasks.items():
            cell, zero = tables.cells.get((experiment.id, name)), tables.zero_shot(name)
            change, word = None, "not yet"
            if cell is not None and cell.skipped:
                word = "skipped"
            elif cell is not None and task.headline in cell.metrics:
                value = cell.metrics[task.headline]
                if zero is not None and task.headline in zero.metrics:
                    change = (value - zero.metrics[task.headline]) * better_sign(task.headline)
                    word = f"{100 * change:+.0f}"
                else:
                    word = "no baseline"
            row.append(change)
            words.append(word)
        values.append(row)
        texts.append(words)
    short = {"not yet": "·", "no baseline": "·", "skipped": "–"}
    return {
        "data": [
            {
                "type": "heatmap",
                "z": values,
                "x": [task.title for task in tasks.values()],
                "y": [experiment.id for experiment in trained],
                "text": [[short.get(word, word) for word in row] for row in texts],
                "texttemplate": "%{text}",
                "textfont": {"size": 10},
                "customdata": texts,
                "hovertemplate": "%{y}<br>%{x}: %{customdata} points<extra></extra>",
                "colorscale": DIVERGING,
                "zmid": 0,
                "xgap": 1,
                "ygap": 1,
                "hoverongaps": True,
                "colorbar": {"title": {"text": "change"}, "tickformat": "+.0%", "thickness": 12},
            }
        ],
        "layout": _layout(
            60 + 19 * len(trained),
            xaxis={"side": "top", "tickangle": -35, "automargin": True},
            yaxis={"autorange": "reversed", "automargin": True, "tickfont": {"size": 11}},
        ),
    }


def learning_curves(tables: RunTables) -> Figure | None:
    """Training loss by step, one line an experiment, smoothed over a twentieth of its length."""
    curves = tables.curves()
    if not curves:
        return None
    colours = phase_colours(tables)
    phase_of = {p.experiment.id: p.experiment.phase for p in tables.plan.experiments}
    data = []
    for name, trace in curves.items():
        losses = [point["loss"] for point in trace]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "legendgroup": phase_of[name],
                "x": list(range(1, len(losses) + 1)),
                "y": [round(value, 4) for value in smoothed(losses, max(1, len(losses) // 20))],
                "line": {"width": 1.4, "color": colours[phase_of[name]]},
                "hovertemplate": f"{name}<br>step %{{x}}: %{{y:.3f}} nats<extra></extra>",
            }
        )
    return {
        "data": data,
        "layout": _layout(
            440,
            xaxis={"title": {"text": "optimiser step"}, "automargin": True},
            yaxis={"title": {"text": "training loss (nats a token)"}, "automargin": True, "type": "log"},
            showlegend=False,
        ),
    }


def smoothed(values: Sequence[float], width: int) -> list[float]:
    """Mean of the last `width` finite values at each point."""
    out = []
    for index in range(len(values)):
        window = [v for v in values[max(0, index + 1 - width) : index + 1] if math.isfinite(v)]
        out.append(sum(window) / len(window) if window else math.nan)
    return out


def planned_gantt(tables: RunTables) -> Figure:
    """The plan's Gantt: a bar an experiment, hours by the plan's rate."""
    bars = [(bar.label, bar.phase, bar.start_hour, bar.end_hour) for bar in tables.plan.gantt]
    return _gantt(tables, bars, "hours, one GPU, by the plan's rate")


def actual_gantt(tables: RunTables) -> Figure | None:
    """What really ran when: a bar a stage, minutes from the first start."""
    phase_of: dict[str, str] = {}
    for planned in tables.plan.experiments:
        for stage in planned.stages:
            phase_of.setdefault(stage, planned.experiment.phase)
    timed = [
        (tables.plan.stages[name].label, phase_of[name], outcome.started, outcome.ended, outcome.kind)
        for name, outcome in tables.outcomes.items()
        if name in phase_of
    ]
    if not timed:
        return None
    first = min(entry[2] for entry in timed)
    merged: dict[tuple[str, str], list[float]] = {}
    for label, phase, start, end, kind in timed:
        key = (label if kind == "train" else f"evaluations of {phase}", phase)
        span = merged.setdefault(key, [start, end])
        span[0], span[1] = min(span[0], start), max(span[1], end)
    bars = [(label, phase, (a - first) / 60, (b - first) / 60) for (label, phase), (a, b) in merged.items()]
    return _gantt(tables, sorted(bars, key=lambda bar: bar[2]), "minutes since the start")


def _gantt(tables: RunTables, bars: Sequence[tuple[str, str, float, float]], title: str) -> Figure:
    colours = phase_colours(tables)
    data = []
    for phase, colour in colours.items():
        mine = [bar for bar in bars if bar[1] == phase]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": phase,
                "y": [bar[0] for bar in mine],
                "base": [round(bar[2], 4) for bar in mine],
                "x": [round(max(bar[3] - bar[2], 1e-3), 4) for bar in mine],
                "marker": {"color": colour},
                "hovertemplate": "%{y}: %{base:.2f} to %{customdata:.2f}<extra></extra>",
                "customdata": [round(bar[3], 4) for bar in mine],
            }
        )
    return {
        "data": data,
        "layout": _layout(
            80 + 12 * len(bars),
            barmode="overlay",
            xaxis={"title": {"text": title}, "automargin": True},
            yaxis={
                "autorange": "reversed",
                "automargin": True,
                "tickfont": {"size": 9},
                "categoryorder": "array",
                "categoryarray": [bar[0] for bar in bars],
            },
            legend={"orientation": "h", "y": 1.04},
        ),
    }
