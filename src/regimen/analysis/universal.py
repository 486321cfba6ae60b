"""RQ4 over a crossed design: is one strategy ahead on the sets of sources, and does it harm no task?

Owns the rule, on typed cells. A set of sources is the unit: strategies are compared within it, and the signs of the
differences are flipped set by set. Models that train alone are shared by sets, so that sets are not independent; so the
signs are flipped task by task too, and the larger p-value counts. Does not know how cells are measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from regimen.analysis.statistics.blocks import LEAST, flip_p, mean_interval
from regimen.analysis.statistics.equivalence import INNER_LEVEL
from regimen.analysis.statistics.resampling import LEVEL
from regimen.analysis.verdicts import Verdict
from regimen.study.questions import RankRule

UNIT = 0.05  # the smallest unit of a task's gain, so that a task on which nothing gains does not rule the mean
ALPHA = 0.05
Keeping = Literal["kept", "harmed", "open"]


@dataclass(frozen=True)
class CrossedCell:
    """A strategy on a set of sources and a task of one of them: its gain over zero-shot in units of the task.

    The mean over runs, over the orders of a sequence, and over the models that make up the cell.
    """

    strategy: str
    set: str
    task: str
    gain: float


@dataclass(frozen=True)
class StrategyLead:
    """The mean lead of the first strategy over another, over sets; p two-sided, the interval at 95%.

    `inner_low` to `inner_high` is the 90% interval that is held against the margin.
    """

    other: str
    lead: float
    low: float
    high: float
    inner_low: float
    inner_high: float
    p: float


@dataclass(frozen=True)
class CrossedResult:
    """The strategies over the sets: mean gains, best first; the leads of the first; in how many folds it stays first.

    A fold leaves one set out. `margin` is that of the mean over tasks, in their units. `harmed` are tasks on which the
    first is clearly worse than zero-shot, `open_tasks` those on which a loss of the margin is not ruled out. `runs` is
    how often the recipe was trained that was trained least often.
    """

    means: Mapping[str, float]
    sets: Sequence[str]
    tasks: Sequence[str]
    leads: Sequence[StrategyLead]
    first_folds: int
    margin: float | None
    harmed: Sequence[str]
    open_tasks: Sequence[str]
    runs: int

    @property
    def first(self) -> str:
        """The strategy with the largest mean."""
        return next(iter(self.means))

    @property
    def is_clear(self) -> bool:
        """True if the first is clearly ahead of each of the others."""
        return all(lead.p <= ALPHA and lead.lead > 0 for lead in self.leads)

    def verdict(self, rule: RankRule) -> Verdict:
        """Yes: clearly ahead, first in enough folds, and a loss of the margin ruled out on every task.

        No: no two strategies differ by the margin. Depends: clearly ahead, and some task is harmed. Being ahead of each
        of the others at 5% needs no correction: where two are equally good, one of them is called the best in 5%.
        """
        if len(self.sets) < LEAST:
            return "not identifiable"
        if self.is_clear and self.first_folds >= rule.first * len(self.sets):
            return "depends" if self.harmed else "undecided" if self.open_tasks else "yes"
        alike = self.margin is not None and all(lead.inner_high < self.margin for lead in self.leads)
        return "no" if alike else "undecided"


def judged_cells(
    cells: Sequence[CrossedCell], keeping: Mapping[str, Mapping[str, Keeping]], margin: float | None, runs: int = 1
) -> CrossedResult:
    """The result of cells, every strategy on every set and each of its tasks; `keeping` by strategy and task."""
    sets = list(dict.fromkeys(cell.set for cell in cells))
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    strategies = list(dict.fromkeys(cell.strategy for cell in cells))
    by_set = {name: _means(cells, name, sets, "set") for name in strategies}
    by_task = {name: _means(cells, name, tasks, "task") for name in strategies}
    means = {name: _mean(by_set[name]) for name in sorted(strategies, key=lambda name: -_mean(by_set[name]))}
    first, *others = means
    leads = [_lead(other, *(_less(table[first], table[other]) for table in (by_set, by_task))) for other in others]
    folds = [max(means, key=lambda name: _mean(_without(by_set[name], place))) for place in range(len(sets))]
    kept = keeping.get(first, {})
    return CrossedResult(
        means=means,
        sets=sets,
        tasks=tasks,
        leads=leads,
        first_folds=folds.count(first) if len(sets) > 1 else 0,
        margin=margin,
        harmed=[task for task, state in kept.items() if state == "harmed"],
        open_tasks=[task for task, state in kept.items() if state == "open"],
        runs=runs,
    )  # fmt: skip


def _lead(other: str, by_set: Sequence[float], by_task: Sequence[float]) -> StrategyLead:
    """The lead over one strategy; each number is the more cautious of sets and tasks."""
    ends = [[mean_interval(blocks, level) for blocks in (by_set, by_task)] for level in (LEVEL, INNER_LEVEL)]
    wide = [(min(low for low, _ in each), max(high for _, high in each)) for each in ends]
    return StrategyLead(other, _mean(by_set), *wide[0], *wide[1], max(flip_p(by_set), flip_p(by_task)))


def _means(
    cells: Sequence[CrossedCell], strategy: str, blocks: Sequence[str], by: Literal["set", "task"]
) -> list[float]:
    """A strategy's mean gain in each block."""
    own = [cell for cell in cells if cell.strategy == strategy]
    return [_mean([cell.gain for cell in own if getattr(cell, by) == block]) for block in blocks]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _less(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(one, other, strict=True)]


def _without(values: Sequence[float], place: int) -> list[float]:
    return [value for number, value in enumerate(values) if number != place]


def result_words(found: CrossedResult, verdict: Verdict) -> str:
    """The summary after the verdict, without the number of runs."""
    means = ", ".join(f"{name} {mean:+.2f}" for name, mean in found.means.items())
    leads = "; ".join(
        f"{found.first} less {one.other} {one.lead:+.2f} ({one.low:+.2f} to {one.high:+.2f}, p = {one.p:.2g})"
        for one in found.leads
    )
    count = len(found.sets)
    parts = [
        f"mean gains over {count} source sets and {len(found.tasks)} tasks, in units of a task's best gain: {means}.",
        f"Leads, by flips of sets and of tasks: {leads}.",
        f"With one set left out, {found.first} is first in {found.first_folds} of {count}.",
    ]
    if verdict == "not identifiable":
        parts.append(f"Below {LEAST} sets no lead can be clear.")
    if verdict == "no":
        parts.append(f"No two differ by the margin of {found.margin:.2g}.")
    if found.harmed:
        parts.append(f"{found.first} is clearly below zero-shot on {', '.join(found.harmed)}.")
    if found.open_tasks:
        parts.append(f"A loss of the margin is not ruled out for {found.first} on {', '.join(found.open_tasks)}.")
    return " ".join(parts)
