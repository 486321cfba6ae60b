"""The taxonomy: strategies against groups of tasks, with gain, worst case, cost and certainty; and question RQ4.

Owns the rows of `taxonomy` and the reading of `RankRule`. A strategy's gain on a task is the mean over its
experiments, so it says how much to expect of the strategy; the luckiest member is named beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regimen.analysis.choices import ChosenOn
from regimen.analysis.crossed_cells import Crossed
from regimen.analysis.declared_contrasts import in_runs, within
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.statistics.ranking import Ranked, rank
from regimen.analysis.statistics.resampling import Resampled, mean
from regimen.analysis.strategies import recipe_hours, strategies
from regimen.analysis.strategy_cells import StrategyCells
from regimen.analysis.universal import result_words
from regimen.analysis.verdicts import Verdict
from regimen.study import ZERO_SHOT
from regimen.study.questions import RankRule


@dataclass(frozen=True)
class BestMember:
    """The best experiment of a strategy, its mean relative gain on test items, and what chose it."""

    experiment: str
    gain: float
    low: float
    high: float
    chosen_on: ChosenOn


@dataclass(frozen=True)
class GroupGain:
    """A strategy's mean relative gain over the clear tasks of a group."""

    gain: float
    low: float
    high: float
    tasks: int
    worst_task: str
    worst_gain: float
    best_experiment: BestMember | None


@dataclass(frozen=True)
class StrategyRow:
    """A strategy: its gain, worst case, rank and cost; numbers are None where nothing was measured.

    `experiments` are those with results, of `planned`; `groups` holds a gain for each group with a clear task, else
    None.
    """

    strategy: str
    experiments: Sequence[str]
    planned: int
    tasks: Sequence[str]
    mean_normalised_gain: float | None
    gain_ci: tuple[float, float] | None
    worst_task: str | None
    worst_task_gain: float | None
    rank: float | None
    rank_ci: tuple[float, float] | None
    first_share: float | None
    gpu_hours: float
    best_experiment: BestMember | None
    harmed_tasks: Sequence[str]
    groups: Mapping[str, GroupGain | None]


class Taxonomy:
    """The strategies of a run, from relative gains."""

    def __init__(self, relative: RelativeGains):
        self.relative = relative
        self.evidence = relative.evidence
        self.planned = strategies(self.evidence.study)
        self.gains = self._gains()
        self.ranked = {ranked.name: ranked for ranked in self._rank()}

    def _gains(self) -> dict[str, dict[str, Resampled]]:
        """Strategy -> task -> mean relative gain over the strategy's experiments that are there."""
        found: dict[str, dict[str, Resampled]] = {}
        for strategy, names in self.planned.items():
            for task in self.relative.tasks:
                there = [self.relative.gains[name, task] for name in names if (name, task) in self.relative.gains]
                if strategy == ZERO_SHOT:
                    found.setdefault(strategy, {})[task] = self._nothing(task)
                elif there:
                    found.setdefault(strategy, {})[task] = mean(there)
        return found

    def _nothing(self, task: str) -> Resampled:
        """Zero-shot's gain on zero-shot."""
        draws = self.evidence.draws(task)
        return Resampled(0.0, np.zeros(len(draws.draws)), {task: np.zeros(draws.scores.clusters)})

    def _rank(self) -> list[Ranked]:
        tasks = self.relative.tasks
        whole = {name: gains for name, gains in self.gains.items() if len(gains) == len(tasks)}
        if not tasks or len(whole) < 2:
            return []
        return rank({task: {name: whole[name][task] for name in whole} for task in tasks}, self.evidence.rules.seed)

    def rows(self) -> list[StrategyRow]:
        """One row a strategy, best first."""
        rows = [self._row(strategy, names) for strategy, names in self.planned.items()]
        return sorted(rows, key=lambda row: (row.mean_normalised_gain is None, -(row.mean_normalised_gain or 0)))

    def _row(self, strategy: str, names: Sequence[str]) -> StrategyRow:
        gains, ranked = self.gains.get(strategy, {}), self.ranked.get(strategy)
        evidence = self.evidence
        done = [name for name in names if evidence.has(name)]
        hours = [recipe_hours(evidence.plan, evidence.study.experiment(name)) for name in names]
        over = mean(list(gains.values())) if gains else None
        interval = over.interval() if over else None
        worst = min(gains, key=lambda task: gains[task].point) if gains else None
        return StrategyRow(
            strategy=strategy,
            experiments=done,
            planned=len(names),
            tasks=list(gains),
            mean_normalised_gain=over.point if over else None,
            gain_ci=(interval.low, interval.high) if interval else None,
            worst_task=worst,
            worst_task_gain=gains[worst].point if worst else None,
            rank=ranked.rank if ranked else None,
            rank_ci=(ranked.rank_low, ranked.rank_high) if ranked else None,
            first_share=ranked.first if ranked else None,
            gpu_hours=sum(hours) / len(hours),
            best_experiment=self._best(names),
            harmed_tasks=self.harmed(strategy),
            groups=self._groups(strategy, names),
        )

    def _best(self, names: Sequence[str], group: str | None = None) -> BestMember | None:
        """The best member of those with a score on every clear task, and its mean relative gain."""
        tasks = [task for task in self.relative.tasks if group in (None, self.evidence.study.tasks[task].group)]
        gains = self.relative.gains
        means = {
            name: mean([gains[name, task] for task in tasks])
            for name in names
            if tasks and all((name, task) in gains for task in tasks)
        }
        best, on = self.relative.choices.best(tasks, means, lambda name: means[name].point)
        if best is None:
            return None
        interval = means[best].interval()
        return BestMember(best, means[best].point, interval.low, interval.high, on)

    def _groups(self, strategy: str, names: Sequence[str]) -> dict[str, GroupGain | None]:
        """Task group -> gain; groups without a clear task are None."""
        gains, tasks = self.gains.get(strategy, {}), self.evidence.study.panel("main")
        found: dict[str, GroupGain | None] = {}
        for group in dict.fromkeys(task.group for task in tasks.values()):
            inside = {task: gain for task, gain in gains.items() if tasks[task].group == group}
            if not inside:
                found[group] = None
                continue
            over = mean(list(inside.values()))
            interval, worst = over.interval(), min(inside, key=lambda task: inside[task].point)
            best, worst_gain = self._best(names, group), inside[worst].point
            found[group] = GroupGain(over.point, interval.low, interval.high, len(inside), worst, worst_gain, best)
        return found

    def harmed(self, strategy: str) -> list[str]:
        """The main tasks on which the interval of the strategy's mean lies below zero-shot.

        In the tasks' own units, so tasks without a clear gain count too. A task that is not here may be harmed as well.
        """
        evidence, grid, harmed = self.evidence, self.relative.grid, []
        for task in evidence.study.panel("main"):
            gains = [grid[name, task].gain for name in self.planned[strategy] if (name, task) in grid]
            if gains and strategy != ZERO_SHOT and mean(gains).interval().high < 0:
                harmed.append(task)
        return harmed


def universal(
    relative: RelativeGains, cells: Sequence[StrategyCells], crossed: Crossed | None, rule: RankRule
) -> tuple[Verdict, str]:
    """RQ4: by the study's crossed design where it has run; else not identifiable, with the gains of each strategy."""
    if crossed is not None and crossed.result is not None:
        verdict = crossed.result.verdict(rule)
        words = result_words(crossed.result, verdict)
        return verdict, f"{verdict.capitalize()}: {within(crossed.result.runs)}{words}"
    if crossed is not None and crossed.missing:
        return "not yet", f"Not yet: the crossed design lacks scores (missing: {crossed.missing})."
    table = f"{'; '.join(row.words() for row in cells)}." if cells else ""
    runs = in_runs(min((row.runs for row in cells), default=1))
    told = f" {runs}with chains whole and stages once: {table}" if table else ""
    left = [task for task in relative.units if task not in relative.tasks]
    without = f" Gains are without {', '.join(left)}, where none is clear of zero." if left and table else ""
    needed = "A crossed design is needed." if crossed is None else "The study's crossed design has not been run."
    return "not identifiable", (
        "Not identifiable as designed: the strategies train on different tasks for different steps, so a mean over "
        f"tasks tells how many of them a strategy trained on. {needed}{told}{without}"
    )
