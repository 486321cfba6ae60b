"""What to do: for each task and budget the recipe that the evidence supports, and a tree to follow.

Owns the budgets, the choice, and the tree as data. A recipe is recommended where the exploratory grid calls it ahead
of zero-shot; the gain of the best of many is flattering, so each entry says of how many, and how sure the choice is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from regimen.analysis.relative_gains import Relative
from regimen.analysis.statistics.resampling import Resampled, mean
from regimen.analysis.strategies import recipe_hours, strategy_of
from regimen.study import ZERO_SHOT

KINDS = {"choice": "classification", "generation": "written answers", "execution": "code"}


def budgets(relative: Relative) -> list[float]:
    """At most four round numbers of GPU-hours that divide the recipes' costs; the last holds all."""
    study, plan = relative.evidence.study, relative.evidence.plan
    full = study.track("full") if "full" in study.tracks else study.experiments
    costs = sorted({recipe_hours(plan, e) for e in full if e.legs})
    if not costs:
        return []
    cuts = np.quantile(costs, [0.2, 0.5, 0.8, 1.0], method="higher")
    return sorted({_round_up(float(cut)) for cut in cuts})


def _round_up(hours: float) -> float:
    """The next whole number of hours, or of the leading digit below one hour; above `hours`, not at it."""
    digits = max(0, -math.floor(math.log10(hours)))
    return round((math.floor(hours * 10**digits + 1e-9) + 1) / 10**digits, digits)


def recipes(relative: Relative) -> list[dict[str, Any]]:
    """For each main task and budget: the best experiment within it, and the cheapest not clearly worse."""
    return [_recipe(relative, task, budget) for task in relative.units for budget in budgets(relative)]


def _within(relative: Relative, budget: float) -> list[str]:
    study, plan = relative.evidence.study, relative.evidence.plan
    return [name for name in relative.experiments if recipe_hours(plan, study.experiment(name)) <= budget]


def _recipe(relative: Relative, task: str, budget: float) -> dict[str, Any]:
    evidence = relative.evidence
    cells = {n: cell for n in _within(relative, budget) if (cell := evidence.grid.get((n, task)))}
    entry: dict[str, Any] = {"task": task, "budget_gpu_hours": budget, "candidates": len(cells)}
    if not cells:
        return entry | {"recipe": None, "statement": f"{task}, under {budget:g} GPU-hours: not yet."}
    best = max(cells, key=lambda name: (cells[name].gain.point, -_hours(relative, name)))
    interval, cell = cells[best].gain.interval(), cells[best]
    clear = cell.gain.point > 0 and cell.clear
    draws = np.stack([cells[name].gain.draws for name in cells], axis=1)
    alike = [n for n in cells if (cell.gain - cells[n].gain).interval().low <= 0]
    cheapest = min(alike, key=lambda name: (_hours(relative, name), -cells[name].gain.point)) if alike else best
    numbers = (
        f"{cell.gain.point:+.3f} ({interval.low:+.3f} to {interval.high:+.3f}) against zero-shot, n = {cell.items}, "
        f"{cell.test}, p = {cell.p:.2g}, adjusted over the grid {cell.p_adjusted:.2g}; best of {len(cells)}"
    )
    said = (
        f"{best}: {numbers}" if clear else f"zero-shot: nothing within it is clearly better; nearest {best}, {numbers}"
    )
    return entry | {
        "recipe": best if clear else ZERO_SHOT,
        "best": best,
        "strategy": strategy_of(evidence.study, evidence.study.experiment(best)) if clear else ZERO_SHOT,
        "gpu_hours": _hours(relative, best),
        "gain": cell.gain.point,
        "low": interval.low,
        "high": interval.high,
        "p_adjusted": cell.p_adjusted,
        "n": {"items": cell.items, "clusters": cell.clusters},
        "certainty": float((draws.argmax(axis=1) == list(cells).index(best)).mean()),
        "cheapest_alike": cheapest,
        "cheapest_alike_gpu_hours": _hours(relative, cheapest),
        "statement": f"{task}, under {budget:g} GPU-hours: {said}.",
    }


def _hours(relative: Relative, name: str) -> float:
    return recipe_hours(relative.evidence.plan, relative.evidence.study.experiment(name))


def tree(relative: Relative) -> list[dict[str, Any]]:
    """First the kind of answer, then the budget: the strategy whose best recipes gain most there.

    Per task each strategy is represented by its best experiment within the budget; `gain` is the mean of their
    relative gains over the kind's tasks. Strategies that lack a task are not compared.
    """
    study = relative.evidence.study
    nodes = []
    for scoring, name in KINDS.items():
        tasks = [task for task, shape in study.panel("main").items() if shape.scoring == scoring]
        clear = [task for task in tasks if task in relative.tasks]
        branches = [_branch(relative, name, clear, budget) for budget in budgets(relative)] if clear else []
        note = "" if clear else "no gain on these tasks is clear of zero"
        if tasks:
            nodes.append({"kind": name, "tasks": tasks, "clear_tasks": clear, "branches": branches, "note": note})
    return nodes


def _branch(relative: Relative, kind: str, tasks: Sequence[str], budget: float) -> dict[str, Any]:
    study = relative.evidence.study
    members: dict[str, list[str]] = {}
    for name in _within(relative, budget):
        members.setdefault(strategy_of(study, study.experiment(name)), []).append(name)
    best: dict[str, dict[str, str]] = {}
    for strategy, names in members.items():
        there = {task: [n for n in names if (n, task) in relative.gains] for task in tasks}
        if all(there.values()):
            best[strategy] = {t: max(ns, key=lambda n, t=t: relative.gains[n, t].point) for t, ns in there.items()}
    entry: dict[str, Any] = {"budget_gpu_hours": budget}
    if not best:
        return entry | {"strategy": None, "statement": f"{kind}, under {budget:g} GPU-hours: not yet."}
    gains = {s: mean([relative.gains[n, t] for t, n in chosen.items()]) for s, chosen in best.items()}
    order = sorted(gains, key=lambda strategy: -gains[strategy].point)
    return entry | _leaf(kind, budget, order, gains, best)


def _leaf(
    kind: str, budget: float, order: Sequence[str], gains: dict[str, Resampled], best: dict[str, dict[str, str]]
) -> dict[str, Any]:
    first, second = order[0], order[1] if len(order) > 1 else None
    interval = gains[first].interval()
    lead = (gains[first] - gains[second]).interval() if second else None
    clear = interval.low > 0
    ahead = lead is not None and lead.low > 0
    against = "" if second is None else f"; {'ahead of' if ahead else 'not clearly ahead of'} {second}"
    chosen = first if clear else ZERO_SHOT
    span = f"{gains[first].point:.2f} of the best gain ({interval.low:.2f} to {interval.high:.2f})"
    reason = span if clear else f"nothing is clearly better; {first} {span}"
    return {
        "strategy": chosen,
        "leader": first,
        "recipes": best[first],
        "gain": gains[first].point,
        "low": interval.low,
        "high": interval.high,
        "runner_up": second,
        "clearly_ahead": ahead,
        "statement": f"{kind}, under {budget:g} GPU-hours: {chosen} ({reason}{against}).",
    }
