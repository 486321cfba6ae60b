"""Gains on one scale for all tasks: the share of the way from zero-shot to the best of the study.

Owns the unit of each task and whether it is clear of zero. Does not know strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import Grid
from regimen.analysis.statistics.resampling import Resampled
from regimen.study import ZERO_SHOT


@dataclass(frozen=True)
class Unit:
    """A task's unit: the best experiment, how far it is ahead of zero-shot, and whether that is clear of zero.

    `p_adjusted` is the exploratory grid's. `clear`: ahead, and clear in the grid.
    """

    task: str
    best: str
    gain: float
    p_adjusted: float
    clear: bool


@dataclass(frozen=True)
class MissingScore:
    """A score of the full plan that is not there."""

    experiment: str
    task: str

    def __str__(self) -> str:
        return f"{self.experiment} on {self.task}"


class RelativeGains:
    """Relative gains of the study's trained experiments on the main tasks."""

    def __init__(self, evidence: Evidence, grid: Grid):
        self.evidence = evidence
        self.grid = grid
        self.experiments = evidence.trained

    @cached_property
    def units(self) -> dict[str, Unit]:
        """Task -> unit, for every main task with a score of zero-shot and of some experiment."""
        units = {}
        for task in self.evidence.study.panel("main"):
            cells = {name: cell for name in self.experiments if (cell := self.grid.get((name, task)))}
            if not cells:
                continue
            best = max(cells, key=lambda name: cells[name].gain.point)
            gain = cells[best].gain.point
            units[task] = Unit(task, best, gain, cells[best].p_adjusted, gain > 0 and cells[best].clear)
        return units

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
