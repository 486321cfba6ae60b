"""Cost against quality: each experiment's hours and mean relative gain, and which are on the front.

Owns the chart and the table of the front. Does not know how the front is found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regimen.report.charts import Axis, Lines, Series
from regimen.report.run_reading import Reading
from regimen.report.words import anchor, hours, interval, known, signed

ALL = "all"


def fronts(reading: Reading) -> list[dict[str, Any]]:
    """For each scope of tasks its points on the front, cheapest first."""
    found = []
    for entry in reading.found_list("pareto"):
        points = _points(entry)
        tasks = [str(task) for task in entry.get("tasks") or []]
        ahead = [point for point in points if point.get("on_front")]
        found.append({"scope": str(entry.get("scope", "")), "tasks": tasks, "of": len(points), "points": ahead})
    return found


def front_chart(reading: Reading) -> Lines | None:
    """Mean relative gain over all clear tasks by GPU-hours; None while there is nothing to draw."""
    entry = next((entry for entry in reading.found_list("pareto") if entry.get("scope") == ALL), None)
    points = _points(entry) if entry else []
    if not points:
        return None
    phase_of = {p["experiment"]: reading.phase_of(p["experiment"]) for p in points}
    series = [
        _series([point for point in points if phase_of[point["experiment"]] == phase], phase, index)
        for index, phase in enumerate(reading.phases)
        if phase in phase_of.values()
    ]
    ahead = [point for point in points if point.get("on_front")]
    if len(ahead) > 1:
        x = tuple(float(point["gpu_hours"]) for point in ahead)
        series.append(Series("front", x, tuple(point["gain"] for point in ahead), colour=9, variant=1))
    return Lines(
        name="cost-quality",
        title="Cost and quality",
        alt=f"Mean relative gain by planned GPU-hours, {len(points)} experiments, {len(ahead)} of them on the front",
        x=Axis("GPU-hours by the plan's rate", log=all(point["gpu_hours"] > 0 for point in points)),
        y=Axis("mean relative gain (0 zero-shot, 1 best)"),
        series=tuple(series),
        zero=True,
    )


def _points(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    points = [dict(point) for point in entry.get("points") or [] if isinstance(point, Mapping)]
    return [
        point | {"experiment": str(point.get("experiment", ""))}
        for point in points
        if known(point.get("gain")) and known(point.get("gpu_hours"))
    ]


def _series(points: list[dict[str, Any]], phase: str, index: int) -> Series:
    whole = all(known(point.get("low")) and known(point.get("high")) for point in points)
    return Series(
        name=phase,
        x=tuple(float(point["gpu_hours"]) for point in points),
        y=tuple(float(point["gain"]) for point in points),
        style="points",
        colour=index,
        variant=index,
        low=tuple(point["low"] for point in points) if whole else (),
        high=tuple(point["high"] for point in points) if whole else (),
        hover=tuple(
            f"{point['experiment']}: {signed(point['gain'])} ({interval(point.get('low'), point.get('high'))}), "
            f"{hours(point['gpu_hours'])} h"
            for point in points
        ),
        links=tuple(anchor(point["experiment"]) for point in points),
        group=phase,
    )
