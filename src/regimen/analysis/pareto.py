"""Cost against quality: the recipes that no cheaper one equals.

Owns the front over GPU-hours and mean relative gain, for all clear tasks and for each group of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.strategies import recipe_hours, recipe_steps, strategy_of


@dataclass(frozen=True)
class FrontPoint:
    """An experiment's cost and mean relative gain; `on_front`: no cheaper one gains as much."""

    experiment: str
    strategy: str
    gpu_hours: float
    steps: int
    gain: float
    low: float
    high: float
    on_front: bool


@dataclass(frozen=True)
class Front:
    """All points over the clear tasks of a scope ("all" or a task group), cheapest first."""

    scope: str
    tasks: Sequence[str]
    points: Sequence[FrontPoint]

    @property
    def ahead(self) -> list[FrontPoint]:
        """The points on the front."""
        return [point for point in self.points if point.on_front]


def pareto(relative: RelativeGains) -> list[Front]:
    """The fronts over all clear tasks and over those of each task group."""
    tasks = relative.evidence.study.panel("main")
    scopes = {"all": relative.tasks}
    for group in dict.fromkeys(task.group for task in tasks.values()):
        scopes[group] = [task for task in relative.tasks if tasks[task].group == group]
    return [Front(scope, names, _points(relative, names)) for scope, names in scopes.items()]


def _points(relative: RelativeGains, tasks: Sequence[str]) -> list[FrontPoint]:
    there = [name for name in relative.recipes if tasks and all((name, task) in relative.cells for task in tasks)]
    points = sorted(
        (_point(relative, name, tasks) for name in there),
        key=lambda point: (point.gpu_hours, -point.gain, point.experiment),
    )
    best = float("-inf")
    for place, point in enumerate(points):
        points[place] = replace(point, on_front=point.gain > best)
        best = max(best, point.gain)
    return points


def _point(relative: RelativeGains, name: str, tasks: Sequence[str]) -> FrontPoint:
    plan, study = relative.evidence.plan, relative.evidence.study
    experiment, over = study.experiment(name), relative.over(name, tasks)
    assert over is not None
    gain, interval = over.number, over.number.interval()
    cost = recipe_hours(plan, experiment), recipe_steps(study, experiment)
    return FrontPoint(name, strategy_of(study, experiment), *cost, gain.point, interval.low, interval.high, False)
