"""Recommendations: for each task and budget the recipe that the evidence supports, and a tree to follow.

Owns the budgets, the choice, and the tree as data. A recipe is recommended where the exploratory grid calls it ahead
of zero-shot; the gain of the best of many is flattering, so each entry says of how many, and how sure the choice is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from regimen.analysis.declared_contrasts import within
from regimen.analysis.evidence import Evidence
from regimen.analysis.lines import CHOSEN, line_above
from regimen.analysis.records import OMITTED, Size
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.statistics.resampling import Resampled, mean
from regimen.analysis.strategies import recipe_hours, strategy_of
from regimen.study import ZERO_SHOT

KINDS = {"choice": "classification", "generation": "written answers", "execution": "code"}


@dataclass(frozen=True)
class Recipe:
    """The recommendation for a task and budget.

    `recipe` is None while no score is there, and zero-shot where nothing within the budget is clearly better; the
    numbers are those of `best`. `certainty`: in which share of the resamples `best` is best. `cheapest_alike`: the
    cheapest recipe that is not clearly worse. `line_above`: the trained TF-IDF line, where the recommended recipe is
    below it.
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
    statement: str = ""


@dataclass(frozen=True)
class Branch:
    """The strategy to take for a kind of answer within a budget; None while too few scores are there.

    `leader` gains most, `recipes` are its best experiments by task; zero-shot is taken where its gain is not clear.
    `below_line` names the tasks on which what is taken is below the trained TF-IDF line.
    """

    budget_gpu_hours: float
    strategy: str | None
    leader: str | None = None
    recipes: Mapping[str, str] | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    runner_up: str | None = None
    clearly_ahead: bool | None = None
    below_line: Sequence[str] = ()
    statement: str = ""

    @property
    def experiments(self) -> list[str]:
        """The leader's best experiments, each once."""
        return list(dict.fromkeys((self.recipes or {}).values()))

    def record(self) -> dict[str, object]:
        """As findings.json holds it; without a leader there are no numbers and no runner-up."""
        names = [one.name for one in fields(self)]
        shown = names if self.leader else ("budget_gpu_hours", "strategy", "statement")
        return {name: getattr(self, name) for name in shown}


@dataclass(frozen=True)
class Node:
    """A kind of answer in the tree, with a branch for each budget."""

    kind: str
    tasks: Sequence[str]
    clear_tasks: Sequence[str]
    branches: Sequence[Branch]
    note: str


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


def _within(relative: RelativeGains, budget: float) -> list[str]:
    study, plan = relative.evidence.study, relative.evidence.plan
    return [name for name in relative.recipes if recipe_hours(plan, study.experiment(name)) <= budget]


def _recipe(relative: RelativeGains, task: str, budget: float) -> Recipe:
    study, where = relative.evidence.study, f"{task}, under {budget:g} GPU-hours"
    cells = {n: cell for n in _within(relative, budget) if (cell := relative.cells.get((n, task)))}
    if not cells:
        return Recipe(task, budget, 0, None, statement=f"{where}: not yet.")
    best = max(cells, key=lambda name: (cells[name].gain.point, -_hours(relative, name)))
    interval, cell, grid = cells[best].gain.interval(), cells[best], cells[best].weakest
    clear = cell.gain.point > 0 and cell.clear
    draws = np.stack([cells[name].gain.draws for name in cells], axis=1)
    alike = [n for n in cells if (cell.gain - cells[n].gain).interval().low <= 0]
    cheapest = min(alike, key=lambda name: (_hours(relative, name), -cells[name].gain.point)) if alike else best
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
        statement=f"{where}: {runs}{f'{best}: {numbers}' if clear else nearest}; {CHOSEN}.{below}",
    )


def _hours(relative: RelativeGains, name: str) -> float:
    return recipe_hours(relative.evidence.plan, relative.evidence.study.experiment(name))


def tree(relative: RelativeGains) -> list[Node]:
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
            nodes.append(Node(name, tasks, clear, branches, note))
    return nodes


def _branch(relative: RelativeGains, kind: str, tasks: Sequence[str], budget: float) -> Branch:
    study = relative.evidence.study
    members: dict[str, list[str]] = {}
    for name in _within(relative, budget):
        members.setdefault(strategy_of(study, study.experiment(name)), []).append(name)
    best: dict[str, dict[str, str]] = {}
    for strategy, names in members.items():
        there = {task: [n for n in names if (n, task) in relative.cells] for task in tasks}
        if all(there.values()):
            best[strategy] = {t: max(ns, key=lambda n, t=t: relative.cells[n, t].gain.point) for t, ns in there.items()}
    if not best:
        return Branch(budget, None, statement=f"{kind}, under {budget:g} GPU-hours: not yet.")
    gains = {s: _over_tasks(relative, chosen) for s, chosen in best.items()}
    runs = {s: min(relative.cells[n, t].runs for t, n in chosen.items()) for s, chosen in best.items()}
    order = sorted(gains, key=lambda strategy: -gains[strategy].point)
    return _leaf(relative.evidence, kind, budget, order, gains, best, runs[order[0]])


def _over_tasks(relative: RelativeGains, chosen: Mapping[str, str]) -> Resampled:
    """The mean relative gain of the recipes chosen for each task (task -> recipe)."""
    return mean([relative.cells[name, task].gain * (1 / relative.units[task].gain) for task, name in chosen.items()])


def _leaf(
    evidence: Evidence,
    kind: str,
    budget: float,
    order: Sequence[str],
    gains: Mapping[str, Resampled],
    best: Mapping[str, dict[str, str]],
    runs: int,
) -> Branch:
    first, second = order[0], order[1] if len(order) > 1 else None
    interval = gains[first].interval()
    lead = (gains[first] - gains[second]).interval() if second else None
    clear = interval.low > 0
    ahead = lead is not None and lead.low > 0
    against = "" if second is None else f"; {'ahead of' if ahead else 'not clearly ahead of'} {second}"
    chosen = first if clear else ZERO_SHOT
    span = f"{gains[first].point:.2f} of the best gain ({interval.low:.2f} to {interval.high:.2f})"
    reason = span if clear else f"nothing is clearly better; {first} {span}"
    below = [t for t, name in best[first].items() if line_above(evidence, name if clear else ZERO_SHOT, t) is not None]
    lines = f" It is below the trained TF-IDF line on {', '.join(below)}." if below else ""
    return Branch(
        budget_gpu_hours=budget,
        strategy=chosen,
        leader=first,
        recipes=best[first],
        gain=gains[first].point,
        low=interval.low,
        high=interval.high,
        runner_up=second,
        clearly_ahead=ahead,
        below_line=below,
        statement=f"{kind}, under {budget:g} GPU-hours: {within(runs)}{chosen} ({reason}{against}); {CHOSEN}.{lines}",
    )
