"""The hours of the whole plan on 1, 2, 4 and 8 GPUs that follow from measured steps, by the scheduler's simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.gpu.common import Row
from regimen import compile_plan, load_study
from regimen.plan.makespan import Simulation, simulation_of
from regimen.plan.step_times import StepTimes


def plan_hours(steps: Sequence[Row], track: str = "full") -> list[Row]:
    """By each way of computing a step, and by the best of each width; evaluation as the simulation counts it."""
    simulation = simulation_of(compile_plan(load_study("qwen2-finance"), track=track))
    ways = sorted({str(row["way"]) for row in steps if "step_ms" in row})
    found = [row for way in ways for row in _hours(steps, simulation, way)]
    return [*found, *(_hours(steps, simulation, None) if len(ways) > 1 else [])]


def _hours(steps: Sequence[Row], simulation: Simulation, way: str | None) -> list[Row]:
    best: dict[int, float] = {}
    for row in steps:
        if "step_ms" in row and way in (None, row["way"]):
            width, hours = int(str(row["K"])), float(str(row["step_ms"])) / 3.6e6
            best[width] = min(hours, best.get(width, hours))
    if not best:
        return []
    measured = replace(simulation, times=StepTimes(tuple(sorted(best.items())), "measured"))
    rows: list[Row] = []
    alone = measured.choose(1).hours
    for gpus in (1, 2, 4, 8):
        chosen = measured.choose(gpus)
        rows.append(
            {
                "way": way or "the best of each width",
                "gpus": gpus,
                "hours": round(chosen.hours, 3),
                "width": chosen.width,
                "efficiency": round(alone / gpus / chosen.hours, 3),
            }
        )
    return rows
