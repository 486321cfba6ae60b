"""Hours of a run: spent by experiment and phase, and left by the best rate that is known.

Owns where an estimate comes from: this run's own training so far, else this machine's measured rate, else the plan's;
and the Gantt of what really ran where. A stage that several experiments share counts for the first. Does not know
states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from regimen.plan import EvaluateSpec, Plan, TrainSpec
from regimen.plan.rates import remembered
from regimen.results.outcomes import Outcome

HOUR = 3600.0


class StepRate(TypedDict):
    """Optimiser steps an hour of one device, and the origin of that figure in words."""

    steps_per_gpu_hour: float
    source: str


class Hours(TypedDict):
    """GPU-hours of a run: spent so far, planned by the plan's rate, and left by `rate`."""

    spent: float
    planned: float
    left: float
    rate: StepRate
    by_phase: dict[str, dict[str, float]]  # phase -> {"spent", "planned"}
    by_experiment: dict[str, float]  # experiment -> hours spent


class Bar(TypedDict):
    """One stage as it ran, in hours since the first start."""

    label: str
    kind: str
    phase: str
    start_hour: float
    end_hour: float
    worker: str


def hours_of(plan: Plan, outcomes: Mapping[str, Outcome]) -> Hours:
    """The hours of a run whose stages have these outcomes (by fingerprint)."""
    owner = owners(plan)
    spent = {p.experiment.id: 0.0 for p in plan.experiments}
    other = 0.0
    for name, outcome in outcomes.items():
        if owner.get(name):
            spent[owner[name]] += device_hours(outcome)
        else:
            other += device_hours(outcome)
    phases: dict[str, dict[str, float]] = {}
    for planned in plan.experiments:
        phase = phases.setdefault(planned.experiment.phase, {"spent": 0.0, "planned": 0.0})
        phase["spent"] += spent[planned.experiment.id]
        phase["planned"] += planned.gpu_hours
    rate, source = _rate(plan, outcomes)
    return {
        "spent": round(sum(spent.values()) + other, 6),
        "planned": plan.totals["gpu_hours_to_run"],
        "left": round(_left(plan, outcomes, rate), 6),
        "rate": {"steps_per_gpu_hour": round(rate, 3), "source": source},
        "by_phase": {name: {key: round(value, 6) for key, value in hours.items()} for name, hours in phases.items()},
        "by_experiment": {name: round(hours, 6) for name, hours in spent.items()},
    }


def device_hours(outcome: Outcome) -> float:
    """A stage's share of the hours of the device that it ran on; the members of a cohort share them alike."""
    return outcome.seconds / max(1, outcome.where.cohort) / HOUR


def owners(plan: Plan) -> dict[str, str]:
    """For each train and evaluate stage the first experiment that it belongs to."""
    owner: dict[str, str] = {}
    for planned in plan.experiments:
        for name in planned.stages:
            owner.setdefault(name, planned.experiment.id)
    return owner


def _rate(plan: Plan, outcomes: Mapping[str, Outcome]) -> tuple[float, str]:
    """Optimiser steps an hour of one device, and the origin of that figure."""
    done = [(plan.stages[name], outcome) for name, outcome in outcomes.items()]
    steps = sum(stage.steps for stage, _ in done if isinstance(stage, TrainSpec))
    hours = sum(device_hours(outcome) for stage, outcome in done if isinstance(stage, TrainSpec))
    if steps and hours > 0:
        return steps / hours, f"this run's own rate over {steps:,} steps"
    measured = remembered(plan.study)
    if measured is not None:
        return measured.steps_per_hour, "this machine's measured rate"
    return plan.steps_per_gpu_hour, "the plan's rate"


def _left(plan: Plan, outcomes: Mapping[str, Outcome], rate: float) -> float:
    steps = evaluations = 0
    for name, stage in plan.stages.items():
        if name not in outcomes:
            steps += stage.steps if isinstance(stage, TrainSpec) else 0
            evaluations += isinstance(stage, EvaluateSpec)
    known = [device_hours(o) for name, o in outcomes.items() if isinstance(plan.stages[name], EvaluateSpec)]
    return steps / rate + (evaluations * sum(known) / len(known) if known else 0.0)


def actual_gantt(plan: Plan, outcomes: Mapping[str, Outcome]) -> list[Bar]:
    """A bar for each stage that has run, in the order of their starts."""
    if not outcomes:
        return []
    phase = {p.experiment.id: p.experiment.phase for p in plan.experiments}
    owner = owners(plan)
    first = min(outcome.started for outcome in outcomes.values())
    bars: list[Bar] = []
    for name, outcome in sorted(outcomes.items(), key=lambda item: item[1].started):
        where = outcome.where
        gpu = f" gpu {where.gpu}" if where.gpu else ""
        start = (outcome.started - first) / HOUR
        bars.append(
            {
                "label": outcome.label,
                "kind": outcome.kind,
                "phase": phase.get(owner.get(name, ""), ""),
                "start_hour": round(start, 6),
                "end_hour": round(start + outcome.seconds / HOUR, 6),
                "worker": f"pid {where.pid or '?'}{gpu}",
            }
        )
    return bars
