"""Recommendations: for each task and budget the recipe that the evidence supports.

Owns the budgets and the choice within them. A recipe is recommended where the exploratory grid calls it ahead of
zero-shot; the gain of the best of many is flattering where test items chose it, so each entry says of how many, and
how sure the choice is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from regimen.analysis.choices import NOT_LOOKED_AT, ChosenOn, chosen_words
from regimen.analysis.declared_contrasts import within
from regimen.analysis.lines import line_above
from regimen.analysis.records import OMITTED, Size
from regimen.analysis.relative_gains import RecipeCell, RelativeGains
from regimen.analysis.strategies import recipe_hours, strategy_of
from regimen.study import ZERO_SHOT


@dataclass(frozen=True)
class Recipe:
    """The recommendation for a task and budget.

    `recipe` is None while no score is there, and zero-shot where nothing within the budget is clearly better; the
    numbers are those of `best` on test items, `chosen_on` says what chose it among the candidates. `certainty`: in
    which share of the resamples `best` is best. `cheapest_alike`: the cheapest recipe that is not clearly worse; where
    validation rows choose, the cheapest whose score there is within the task's margin of the best. `line_above`: the
    trained TF-IDF line, where the recommended recipe is below it.
    """

    task: str
    budget_gpu_hours: float
    candidates: int
    recipe: str | None
    best: str | None = field(default=None, metadata=OMITTED)
    strategy: str | None = field(default=None, metadata=OMITTED)
    gpu_hours: float | None = field(default=None, metadata=OMITTED)
    gain: float | None = field(default=None, metadata=OMITTED)
    low: float | None = field(default=None, metadata=OMITTED)
    high: float | None = field(default=None, metadata=OMITTED)
    p_adjusted: float | None = field(default=None, metadata=OMITTED)
    n: Size | None = field(default=None, metadata=OMITTED)
    certainty: float | None = field(default=None, metadata=OMITTED)
    cheapest_alike: str | None = field(default=None, metadata=OMITTED)
    cheapest_alike_gpu_hours: float | None = field(default=None, metadata=OMITTED)
    line_above: float | None = field(default=None, metadata=OMITTED)
    chosen_on: ChosenOn | None = field(default=None, metadata=OMITTED)
    statement: str = ""


def budgets(relative: RelativeGains) -> list[float]:
    """At most four round numbers of GPU-hours that divide the recipes' costs; the last holds all."""
    study, plan = relative.evidence.study, relative.evidence.plan
    full = study.full_track
    costs = sorted({recipe_hours(plan, e) for e in full if e.legs})
    if not costs:
        return []
    cuts = np.quantile(costs, [0.2, 0.5, 0.8, 1.0], method="higher")
    return sorted({_round_up(float(cut)) for cut in cuts})


def _round_up(hours: float) -> float:
    """The next whole number of hours, or of the leading digit below one hour; above `hours`, not at it."""
    digits = max(0, -math.floor(math.log10(hours)))
    return round((math.floor(hours * 10**digits + 1e-9) + 1) / 10**digits, digits)


def recipes(relative: RelativeGains) -> list[Recipe]:
    """For each main task and budget: the best experiment within it, and the cheapest not clearly worse."""
    return [_recipe(relative, task, budget) for task in relative.units for budget in budgets(relative)]


def within_budget(relative: RelativeGains, budget: float) -> list[str]:
    """The recipes whose whole training costs no more than the budget, in GPU-hours."""
    study, plan = relative.evidence.study, relative.evidence.plan
    return [name for name in relative.recipes if recipe_hours(plan, study.experiment(name)) <= budget]


def _recipe(relative: RelativeGains, task: str, budget: float) -> Recipe:
    study, where = relative.evidence.study, f"{task}, under {budget:g} GPU-hours"
    cells = {n: cell for n in within_budget(relative, budget) if (cell := relative.cells.get((n, task)))}
    if not cells:
        return Recipe(task, budget, 0, None, statement=f"{where}: not yet.")
    by_cost = sorted(cells, key=lambda name: _hours(relative, name))
    best, on = relative.choose(task, by_cost)
    if best is None:
        return Recipe(task, budget, 0, None, chosen_on=on, statement=f"{where}: {NOT_LOOKED_AT}.")
    if on == "validation rows":
        cells = {name: cell for name, cell in cells.items() if relative.choices.score(name, task) is not None}
    interval, cell, grid = cells[best].gain.interval(), cells[best], cells[best].weakest
    clear = cell.gain.point > 0 and cell.clear
    draws = np.stack([cells[name].gain.draws for name in cells], axis=1)
    cheapest = min(_alike(relative, task, cells, best, on), key=lambda name: _hours(relative, name))
    numbers = (
        f"{cell.gain.point:+.3f} ({interval.low:+.3f} to {interval.high:+.3f}) against zero-shot, n = {grid.items}, "
        f"{grid.test}, p = {grid.p:.2g}, adjusted over the grid {grid.p_adjusted:.2g}; best of {len(cells)}"
    )
    nearest = f"{ZERO_SHOT}: nothing within it is clearly better; nearest {best}, {numbers}"
    runs = within(cell.runs)
    line = line_above(relative.evidence, best if clear else ZERO_SHOT, task)
    below = "" if line is None else f" It is below the trained TF-IDF line of {line:.3f}."
    return Recipe(
        task=task,
        budget_gpu_hours=budget,
        candidates=len(cells),
        recipe=best if clear else ZERO_SHOT,
        best=best,
        strategy=strategy_of(study, study.experiment(best)) if clear else ZERO_SHOT,
        gpu_hours=_hours(relative, best),
        gain=cell.gain.point,
        low=interval.low,
        high=interval.high,
        p_adjusted=grid.p_adjusted,
        n=Size(grid.items, grid.clusters),
        certainty=float((draws.argmax(axis=1) == list(cells).index(best)).mean()),
        cheapest_alike=cheapest,
        cheapest_alike_gpu_hours=_hours(relative, cheapest),
        line_above=line,
        chosen_on=on,
        statement=f"{where}: {runs}{f'{best}: {numbers}' if clear else nearest}; {chosen_words(on)}.{below}",
    )


def _alike(relative: RelativeGains, task: str, cells: Mapping[str, RecipeCell], best: str, on: ChosenOn) -> list[str]:
    """The recipes that are not clearly worse than the best, itself among them, best first."""
    if on == "test items":
        near = [name for name in cells if (cells[best].gain - cells[name].gain).interval().low <= 0]
        return sorted({best, *near}, key=lambda name: -cells[name].gain.point)
    margin = relative.evidence.study.margin_of(task) or 0.0
    scores = {name: relative.choices.score(name, task) or 0.0 for name in cells}
    near = [name for name in cells if scores[best] - scores[name] < margin]
    return sorted({best, *near}, key=lambda name: (-scores[name], name))


def _hours(relative: RelativeGains, name: str) -> float:
    return recipe_hours(relative.evidence.plan, relative.evidence.study.experiment(name))
