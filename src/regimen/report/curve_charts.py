"""Curves: training loss by step, and scores by the number of steps trained.

Owns what is drawn of them and how much (a curve keeps at most `POINTS` points). Does not know how charts are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.curves import Curve, HeldOut
from regimen.analysis.statistics.fits import PowerLaw
from regimen.report.charts import Axis, Lines, Series
from regimen.report.run_reading import Reading
from regimen.report.words import known, number, result_link, span
from regimen.results.tables import Trace

POINTS = 100


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
    losses = [loss for point in trace if (loss := point.get("loss")) is not None and known(loss)]
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
            links = tuple(result_link(name) for _ in x)
            series.append(Series(phase, x, y, colour=colour, variant=colour // 6, hover=hover, links=links))
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


def scaling_curves(reading: Reading) -> list[Lines]:
    """For each task the score by steps of the recipes that were trained for several lengths, with fits that hold."""
    by_task: dict[str, list[Curve]] = {}
    for curve in reading.findings.curves:
        if curve.task is not None:
            by_task.setdefault(curve.task, []).append(curve)
    charts = []
    for task, curves in by_task.items():
        series = [one for index, curve in enumerate(curves) for one in _ladder(reading, curve, task, index)]
        title = reading.plan.study.tasks[task].title
        if series:
            charts.append(
                Lines(
                    name=f"scaling-{task}",
                    title=f"{title} by steps",
                    alt=f"{curves[0].metric} on {title} by the number of steps trained, {len(curves)} recipes",
                    x=Axis("optimiser steps", log=True),
                    y=Axis(curves[0].metric),
                    series=tuple(series),
                    height=380,
                )
            )
    return charts


def _ladder(reading: Reading, curve: Curve, task: str, index: int) -> list[Series]:
    if len(curve.points) < 2:
        return []
    name = f"{curve.kind}: {', '.join(curve.trained_on)}"
    drawn = Series(
        name=name,
        x=tuple(float(point.steps) for point in curve.points),
        y=tuple(float(point.value) for point in curve.points),
        style="both",
        colour=index,
        variant=index,
        low=tuple(point.low for point in curve.points),
        high=tuple(point.high for point in curve.points),
        hover=tuple(
            f"{point.experiment}: {number(point.value)} {span(point.low, point.high)} after {point.steps:,.0f} steps"
            for point in curve.points
        ),
        links=tuple(result_link(point.experiment or "") for point in curve.points),
    )
    if curve.band is None or curve.held_out is None or not curve.held_out.holds:
        return [drawn]
    fitted = Series(
        name=f"{name}, fitted",
        x=tuple(float(point.steps) for point in curve.band),
        y=tuple(float(point.value) for point in curve.band),
        colour=index,
        variant=2,
        low=tuple(point.low for point in curve.band),
        high=tuple(point.high for point in curve.band),
        band=True,
    )
    return [fitted, drawn]


@dataclass(frozen=True)
class FitRow:
    """A curve with the law that was fitted to it, None where there is no fit; `name` is the curve's experiment."""

    curve: Curve
    fit: PowerLaw | None
    held: HeldOut | None
    name: str

    @property
    def holds(self) -> bool:
        """Whether the fit foretells the point that it has not seen."""
        return self.held is not None and self.held.holds


def fits(reading: Reading) -> list[FitRow]:
    """Every curve of the findings, those without a fit too."""
    rows = []
    for curve in reading.findings.curves:
        fitted = (curve.fit, curve.held_out) if curve.fit and curve.held_out else (None, None)
        name = curve.experiment or (curve.points[-1].experiment if curve.points else "") or ""
        rows.append(FitRow(curve, *fitted, name))
    return rows
