"""Gains on one scale for all tasks: the share of the way from zero-shot to the best of the study.

Owns the unit of each task and whether it is clear of zero. Does not know strategies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from regimen.analysis.choices import Choices, ChosenOn
from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import Grid, GridCell
from regimen.analysis.over_runs import OverRuns, first_runs, gain_over_runs, run_names
from regimen.analysis.statistics.resampling import Resampled
from regimen.study import ZERO_SHOT


@dataclass(frozen=True)
class Unit:
    """A task's unit: the best recipe, how far it is ahead of zero-shot over its runs, and whether that is clear.

    `p_adjusted` is the exploratory grid's, the largest of its runs. `clear`: ahead, and clear (`RecipeCell`).
    `chosen_on`: what made it the best.
    """

    task: str
    best: str
    gain: float
    p_adjusted: float
    clear: bool
    chosen_on: ChosenOn = "test items"


@dataclass(frozen=True)
class MissingScore:
    """A score of the full plan that is not there."""

    experiment: str
    task: str

    def __str__(self) -> str:
        return f"{self.experiment} on {self.task}"


@dataclass(frozen=True)
class RecipeCell:
    """A recipe's gain over zero-shot on a task, over its runs; `weakest` is the run that the grid is least sure of.

    `clear`: the grid calls every run clear, and with several runs the interval over items and runs excludes 0.
    """

    gain: Resampled
    runs: int
    weakest: GridCell
    clear: bool


class RelativeGains:
    """Relative gains of the study's trained experiments on the main tasks."""

    def __init__(self, evidence: Evidence, grid: Grid):
        self.evidence = evidence
        self.grid = grid
        self.experiments = evidence.trained
        self.choices = Choices(evidence)

    @cached_property
    def recipes(self) -> list[str]:
        """One experiment for each recipe: its first run."""
        return first_runs(self.evidence, self.experiments)

    @cached_property
    def cells(self) -> dict[tuple[str, str], RecipeCell]:
        """(recipe, main task) -> its gain over all its runs."""
        found = {}
        for task in self.evidence.study.panel("main"):
            for name in self.recipes:
                if (name, task) in self.grid and (over := gain_over_runs(self.evidence, name, {task: 1.0})):
                    found[name, task] = self._cell(name, task, over)
        return found

    def _cell(self, name: str, task: str, over: OverRuns) -> RecipeCell:
        runs = [self.grid[run, task] for run in run_names(self.evidence, name, [task])]
        interval = over.number.interval() if over.runs > 1 else None
        apart = interval is None or interval.low > 0 or interval.high < 0
        weakest = max(runs, key=lambda cell: cell.p)
        return RecipeCell(over.number, over.runs, weakest, apart and all(cell.clear for cell in runs))

    def over(self, name: str, tasks: Sequence[str]) -> OverRuns | None:
        """The mean relative gain of a recipe over clear tasks and over all its runs."""
        return gain_over_runs(self.evidence, name, {task: 1 / self.units[task].gain / len(tasks) for task in tasks})

    @cached_property
    def units(self) -> dict[str, Unit]:
        """Task -> unit, for every main task with a score of zero-shot and of some experiment."""
        units = {}
        for task in self.evidence.study.panel("main"):
            cells = {name: cell for name in self.recipes if (cell := self.cells.get((name, task)))}
            if not cells:
                continue
            best, on = self.choose(task, list(cells))
            if best is not None:
                gain, cell = cells[best].gain.point, cells[best]
                units[task] = Unit(task, best, gain, cell.weakest.p_adjusted, gain > 0 and cell.clear, on)
        return units

    def choose(self, task: str, recipes: Sequence[str]) -> tuple[str | None, ChosenOn]:
        """The best of recipes with a cell on the task, and what it was chosen by (`Choices.best`)."""
        return self.choices.best([task], recipes, lambda name: self.cells[name, task].gain.point)

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks whose best gain is clear of zero."""
        return [task for task, unit in self.units.items() if unit.clear]

    @cached_property
    def gains(self) -> dict[tuple[str, str], Resampled]:
        """(experiment, task) -> its gain over its own base as it is, in units of the best gain, on the clear tasks.

        The unit is the study's own value: it is not resampled, so that a resample in which the best happens to be close
        to its base does not rule.
        """
        return {
            (name, task): self.grid[name, task].gain * (1 / self.units[task].gain)
            for task in self.tasks
            for name in self.experiments
            if (name, task) in self.grid
        }

    def lacking(self) -> list[MissingScore]:
        """The scores that a statement over the whole study still lacks; a skipped task lacks none."""
        study, evidence = self.evidence.study, self.evidence
        full = study.full_track
        ends = [e.id for e in full if e.legs]
        return [
            MissingScore(end, task)
            for task in study.panel("main")
            for end in (ZERO_SHOT, *ends)
            if evidence.state(end, task) == "missing"
        ]
