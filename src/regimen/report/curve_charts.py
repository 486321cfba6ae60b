"""Curves: training loss by step, and scores by the number of steps trained.

Owns what is drawn of them and how much (a curve keeps at most `POINTS` points). Does not know how charts are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from regimen.report.charts import Axis, Lines, Series
from regimen.report.run_reading import Reading
from regimen.report.words import anchor, known, number, span

POINTS = 100
Trace = list[dict[str, Any]]


def smoothed(values: Sequence[float], width: int) -> list[float]:
    """Mean of the last `width` finite values at each point; nan where there is none."""
    out, window, total = [], [], 0.0
    for index, value in enumerate(values):
        window.append(value)
        if index >= width:
            window.pop(0)
        finite = [v for v in window if math.isfinite(v)]
        total = math.fsum(finite)
        out.append(total / len(finite) if finite else math.nan)
    return out


def thinned(trace: Trace) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(steps from 1 over all legs, loss smoothed over a twentieth), at most POINTS of them and always the last."""
    losses = [float(point["loss"]) for point in trace if known(point.get("loss"))]
    even = smoothed(losses, max(1, len(losses) // 20))
    stride = max(1, math.ceil(len(even) / POINTS))
    chosen = sorted({*range(0, len(even), stride), len(even) - 1} - {-1})
    return tuple(float(index + 1) for index in chosen), tuple(round(even[index], 4) for index in chosen)


def learning_curves(reading: Reading) -> Lines | None:
    """Training loss by step, one line an experiment, colours by phase."""
    series = []
    for name, trace in reading.traces.items():
        x, y = thinned(trace)
        phase = reading.planned[name].experiment.phase
        colour = reading.phases.index(phase)
        if x:
            hover = tuple(f"{name}, step {step:.0f}: {loss:.3f} nats" for step, loss in zip(x, y, strict=True))
            links = tuple(anchor(name) for _ in x)
            series.append(
                Series(phase, x, y, colour=colour, variant=colour // 6, hover=hover, links=links, group=phase)
            )
    if not series:
        return None
    return Lines(
        name="learning-curves",
        title="Training loss by step",
        alt=f"Training loss over the steps of {len(series)} experiments; each experiment's section has its own curve",
        x=Axis("optimiser step, over all legs"),
        y=Axis("training loss (nats a token)", log=all(value > 0 for one in series for value in one.y)),
        series=tuple(series),
    )


def own_curve(reading: Reading, name: str) -> Lines | None:
    """The training loss of one experiment."""
    x, y = thinned(reading.traces.get(name, []))
    if not x:
        return None
    return Lines(
        name=f"curve-{name}",
        title=f"Training loss of {name}",
        alt=f"Training loss of {name}: from {y[0]:.3f} to {y[-1]:.3f} nats a token in {x[-1]:.0f} steps",
        x=Axis("step"),
        y=Axis("loss (nats a token)"),
        series=(Series("", x, y, hover=tuple(f"step {a:.0f}: {b:.3f}" for a, b in zip(x, y, strict=True))),),
        height=190,
        legend=False,
    )


def scaling_curves(reading: Reading) -> list[Lines]:
    """For each task the score by steps of the recipes that were trained for several lengths, with fits that hold."""
    entries = [entry for entry in reading.found_list("curves") if entry.get("curve") == "score" and entry.get("task")]
    charts = []
    for task in dict.fromkeys(str(entry["task"]) for entry in entries):
        mine = [entry for entry in entries if str(entry["task"]) == task]
        series = [one for index, entry in enumerate(mine) for one in _ladder(reading, entry, index)]
        shape = reading.plan.study.tasks.get(task)
        title = shape.title if shape else task
        if series:
            charts.append(
                Lines(
                    name=f"scaling-{task}",
                    title=f"{title} by steps",
                    alt=f"{mine[0].get('metric', 'score')} on {title} by the number of steps trained, "
                    f"{len(mine)} recipes",
                    x=Axis("optimiser steps", log=True),
                    y=Axis(str(mine[0].get("metric", "score"))),
                    series=tuple(series),
                    height=380,
                )
            )
    return charts


def _ladder(reading: Reading, entry: dict[str, Any], index: int) -> list[Series]:
    points = [p for p in entry.get("points") or [] if known(p.get("value")) and known(p.get("steps"))]
    if len(points) < 2:
        return []
    name = f"{entry.get('kind', '')}: {', '.join(str(part) for part in entry.get('trained_on') or [])}"
    group = reading.phase_of(str(points[-1].get("experiment", "")))
    whole = all(known(p.get("low")) and known(p.get("high")) for p in points)
    drawn = Series(
        name=name,
        x=tuple(float(p["steps"]) for p in points),
        y=tuple(float(p["value"]) for p in points),
        style="both",
        colour=index,
        variant=index,
        low=tuple(p["low"] for p in points) if whole else (),
        high=tuple(p["high"] for p in points) if whole else (),
        hover=tuple(
            f"{p.get('experiment', name)}: {number(p['value'])} {span(p.get('low'), p.get('high'))} "
            f"after {p['steps']:,.0f} steps"
            for p in points
        ),
        links=tuple(anchor(str(p.get("experiment", "")), str(entry["task"])) for p in points),
        group=group,
    )
    band = [p for p in entry.get("band") or [] if known(p.get("value")) and known(p.get("low"))]
    held = entry.get("held_out")
    if len(band) < 2 or not isinstance(held, dict) or not held.get("holds"):
        return [drawn]
    fitted = Series(
        name=f"{name}, fitted",
        x=tuple(float(p["steps"]) for p in band),
        y=tuple(float(p["value"]) for p in band),
        colour=index,
        variant=2,
        low=tuple(p["low"] for p in band),
        high=tuple(p["high"] for p in band),
        band=True,
        group=group,
    )
    return [fitted, drawn]


def fits(reading: Reading) -> list[dict[str, Any]]:
    """Every curve that a power law was tried on: what it says, and whether it foretells the point held out."""
    rows = []
    for entry in reading.found_list("curves"):
        law, held = entry.get("fit"), entry.get("held_out")
        if not isinstance(law, dict) or not isinstance(held, dict):
            continue
        points = entry.get("points") or []
        name = entry.get("experiment") or (points[-1].get("experiment") if points else "")
        rows.append(
            {
                "what": f"{entry.get('kind', '')} on {', '.join(str(part) for part in entry.get('trained_on') or [])}",
                "of": str(entry.get("task") or entry.get("curve") or ""),
                "name": str(name or ""),
                "points": len(points),
                "offset": number(law.get("offset")),
                "exponent": number(law.get("exponent")),
                "observed": number(held.get("observed")),
                "predicted": number(held.get("predicted")),
                "interval": span(held.get("low"), held.get("high")),
                "holds": bool(held.get("holds")),
            }
        )
    return rows
