"""The tree to follow: first the kind of answer, then the budget, then the strategy.

Owns the tree as data and the choice of a strategy within a budget. Where validation rows decide every task of a kind
they choose recipes and strategy; the gains are those on test items. Does not know the recommendation of single tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from regimen.analysis.choices import NOT_LOOKED_AT, ChosenOn, chosen_words
from regimen.analysis.declared_contrasts import within
from regimen.analysis.evidence import Evidence
from regimen.analysis.lines import line_above
from regimen.analysis.recipes import budgets, within_budget
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.statistics.resampling import Resampled, mean
from regimen.analysis.strategies import strategy_of
from regimen.study import ZERO_SHOT

KINDS = {"choice": "classification", "generation": "written answers", "execution": "code"}


@dataclass(frozen=True)
class Branch:
    """The strategy to take for a kind of answer within a budget; None while too few scores are there.

    `leader` gains most, `recipes` are its best experiments by task; zero-shot is taken where its gain is not clear.
    `chosen_on` says what chose the leader.
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
    chosen_on: ChosenOn | None = None
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


def tree(relative: RelativeGains) -> list[Node]:
    """First the kind of answer, then the budget: the strategy whose best recipes gain most there.

    Per task each strategy is represented by its best experiment within the budget; `gain` is the mean of their
    relative gains over the kind's clear tasks. Strategies that lack a task are not compared.
    """
    study = relative.evidence.study
    nodes = []
    for scoring, name in KINDS.items():
        tasks = [task for task, shape in study.panel("main").items() if shape.scoring == scoring]
        clear = [task for task in tasks if task in relative.tasks]
        branches = [_branch(relative, name, tasks, clear, budget) for budget in budgets(relative)] if clear else []
        note = "" if clear else "no gain on these tasks is clear of zero"
        if tasks:
            nodes.append(Node(name, tasks, clear, branches, note))
    return nodes


def _branch(relative: RelativeGains, kind: str, tasks: Sequence[str], clear: Sequence[str], budget: float) -> Branch:
    study, choices = relative.evidence.study, relative.choices
    where = f"{kind}, under {budget:g} GPU-hours"
    wanted = list(tasks) if all(map(choices.decides, tasks)) else list(clear)
    members: dict[str, list[str]] = {}
    for name in within_budget(relative, budget):
        members.setdefault(strategy_of(study, study.experiment(name)), []).append(name)
    best = {strategy: found for strategy, names in members.items() if (found := _chosen(relative, names, wanted))}
    if not best:
        left = bool(members) and wanted == list(tasks)
        return Branch(budget, None, statement=f"{where}: {NOT_LOOKED_AT if left else 'not yet'}.")
    found = [_standing(relative, strategy, chosen, clear) for strategy, chosen in best.items()]
    on: ChosenOn = "validation rows" if all(map(choices.decides, wanted)) else "test items"
    scores = {one.strategy: one.gain.point if on == "test items" else choices.mean_score(one.all) for one in found}
    order = sorted(found, key=lambda one: -(scores[one.strategy] or 0.0))
    left_out = [strategy for strategy in members if strategy not in best]
    return _leaf(relative.evidence, where, budget, order, on, left_out)


@dataclass(frozen=True)
class _Standing:
    """A strategy with the recipes that stand for it, by task (`recipes`: the clear ones), and their gain there."""

    strategy: str
    all: Mapping[str, str]
    recipes: Mapping[str, str]
    gain: Resampled
    runs: int


def _standing(relative: RelativeGains, strategy: str, chosen: Mapping[str, str], clear: Sequence[str]) -> _Standing:
    shown = {task: chosen[task] for task in clear}
    runs = min(relative.cells[name, task].runs for task, name in shown.items())
    return _Standing(strategy, chosen, shown, _over_tasks(relative, shown), runs)


def _chosen(relative: RelativeGains, names: Sequence[str], tasks: Sequence[str]) -> dict[str, str] | None:
    """Task -> the recipe that stands for its strategy there; None where a task has none."""
    found: dict[str, str] = {}
    for task in tasks:
        there = [name for name in names if (name, task) in relative.cells]
        best = relative.choose(task, there)[0] if there else None
        if best is None:
            return None
        found[task] = best
    return found


def _over_tasks(relative: RelativeGains, chosen: Mapping[str, str]) -> Resampled:
    """The mean relative gain of the recipes chosen for each task (task -> recipe)."""
    return mean([relative.cells[name, task].gain * (1 / relative.units[task].gain) for task, name in chosen.items()])


def _leaf(
    evidence: Evidence, where: str, budget: float, order: Sequence[_Standing], on: ChosenOn, left_out: Sequence[str]
) -> Branch:
    first, second = order[0], order[1] if len(order) > 1 else None
    interval = first.gain.interval()
    ahead = second is not None and (first.gain - second.gain).interval().low > 0
    against = "" if second is None else f"; {'ahead of' if ahead else 'not clearly ahead of'} {second.strategy}"
    chosen = first.strategy if interval.low > 0 else ZERO_SHOT
    span = f"{first.gain.point:.2f} of the best gain ({interval.low:.2f} to {interval.high:.2f})"
    reason = span if interval.low > 0 else f"nothing is clearly better; {first.strategy} {span}"
    ends = {task: name if interval.low > 0 else ZERO_SHOT for task, name in first.recipes.items()}
    below = [task for task, end in ends.items() if line_above(evidence, end, task) is not None]
    lines = f" It is below the trained TF-IDF line on {', '.join(below)}." if below else ""
    alone = f" Without {', '.join(left_out)}, which validation rows cannot choose among." if on != "test items" else ""
    words = f"{within(first.runs)}{chosen} ({reason}{against}); {chosen_words(on)}."
    return Branch(
        budget_gpu_hours=budget,
        strategy=chosen,
        leader=first.strategy,
        recipes=first.recipes,
        gain=first.gain.point,
        low=interval.low,
        high=interval.high,
        runner_up=second.strategy if second else None,
        clearly_ahead=ahead,
        below_line=below,
        chosen_on=on,
        statement=f"{where}: {words}{alone if left_out else ''}{lines}",
    )
