"""Cost against quality: which recipes no cheaper one equals.

Owns the front over GPU-hours and mean relative gain, for all clear tasks and for each group of them.
"""

from __future__ import annotations

from typing import Any

from regimen.analysis.relative_gains import Relative
from regimen.analysis.statistics.resampling import mean
from regimen.analysis.strategies import recipe_hours, recipe_steps, strategy_of


def pareto(relative: Relative) -> list[dict[str, Any]]:
    """One entry for each scope ("all" and each task group) with its points, cheapest first."""
    tasks = relative.evidence.study.panel("main")
    scopes = {"all": relative.tasks}
    for group in dict.fromkeys(task.group for task in tasks.values()):
        scopes[group] = [task for task in relative.tasks if tasks[task].group == group]
    return [{"scope": scope, "tasks": names, "points": _points(relative, names)} for scope, names in scopes.items()]


def _points(relative: Relative, tasks: list[str]) -> list[dict[str, Any]]:
    plan, study = relative.evidence.plan, relative.evidence.study
    points = []
    for name in relative.experiments:
        if not tasks or any((name, task) not in relative.gains for task in tasks):
            continue
        experiment, gain = study.experiment(name), mean([relative.gains[name, task] for task in tasks])
        interval = gain.interval()
        points.append(
            {
                "experiment": name,
                "strategy": strategy_of(study, experiment),
                "gpu_hours": recipe_hours(plan, experiment),
                "steps": recipe_steps(study, experiment),
                "gain": gain.point,
                "low": interval.low,
                "high": interval.high,
            }
        )
    points.sort(key=lambda point: (point["gpu_hours"], -point["gain"], point["experiment"]))
    best = float("-inf")
    for point in points:
        point["on_front"] = point["gain"] > best
        best = max(best, point["gain"])
    return points
