"""Cost against quality: each experiment's hours and mean relative gain, and which are on the front.

Owns the chart. Does not know how the front is found.
"""

from __future__ import annotations

from collections.abc import Sequence

from regimen.analysis.pareto import FrontPoint
from regimen.report.charts import Axis, Lines, Series
from regimen.report.run_reading import Reading
from regimen.report.words import hours, interval, result_link, signed

ALL = "all"


def front_chart(reading: Reading) -> Lines | None:
    """Mean relative gain over all clear tasks by GPU-hours; None while there is nothing to draw."""
    front = next((front for front in reading.findings.pareto if front.scope == ALL), None)
    if front is None or not front.points:
        return None
    by_phase = {
        phase: [point for point in front.points if reading.phase_of(point.experiment) == phase]
        for phase in reading.phases
    }
    series = [_series(points, phase, index) for index, (phase, points) in enumerate(by_phase.items()) if points]
    ahead = front.ahead
    if len(ahead) > 1:
        x = tuple(float(point.gpu_hours) for point in ahead)
        series.append(Series("front", x, tuple(point.gain for point in ahead), colour=9, variant=1))
    size = f"{len(front.points)} experiments, {len(ahead)} of them on the front"
    return Lines(
        name="cost-quality",
        title="Cost and quality",
        alt=f"Mean relative gain by planned GPU-hours, {size}",
        x=Axis("GPU-hours by the plan's rate", log=all(point.gpu_hours > 0 for point in front.points)),
        y=Axis("mean relative gain (0 zero-shot, 1 best)"),
        series=tuple(series),
        zero=True,
    )


def _series(points: Sequence[FrontPoint], phase: str, index: int) -> Series:
    return Series(
        name=phase,
        x=tuple(float(point.gpu_hours) for point in points),
        y=tuple(float(point.gain) for point in points),
        style="points",
        colour=index,
        variant=index,
        low=tuple(point.low for point in points),
        high=tuple(point.high for point in points),
        hover=tuple(
            f"{point.experiment}: {signed(point.gain)} ({interval(point.low, point.high)}), {hours(point.gpu_hours)} h"
            for point in points
        ),
        links=tuple(result_link(point.experiment) for point in points),
    )
