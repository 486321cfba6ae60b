"""The gains of a strategy where it trained and elsewhere: RQ4's table over a design that is not crossed.

Owns which experiments stand for a strategy: chains whole, stages once. A mean
gain over all tasks mostly tells how many of them a strategy trained on; this table keeps the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.over_runs import first_runs
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.statistics.resampling import Resampled, mean
from regimen.analysis.strategies import strategy_of, trains_on
from regimen.study import Study


@dataclass(frozen=True)
class CellGain:
    """The mean relative gain over some cells (an experiment on a task), with its 95% interval over items."""

    gain: float
    low: float
    high: float
    cells: int


@dataclass(frozen=True)
class StrategyCells:
    """A strategy over the main tasks: the share of cells whose own rows it trained on, the gain there and elsewhere.

    `experiments` are whole recipes with results: a stage that a chain goes on from counts with its chain and never by
    itself, and runs with other seeds count as one. `runs` is how often the recipe was trained that was trained least
    often. Gains are over the tasks whose best gain is clear, None where there are none.
    """

    strategy: str
    experiments: Sequence[str]
    cells: int
    trained_on_share: float
    trained_on: CellGain | None
    elsewhere: CellGain | None
    runs: int = 1

    def words(self) -> str:
        """The row as a clause."""
        there, away = (_gain_words(gain) for gain in (self.trained_on, self.elsewhere))
        return (
            f"{self.strategy} trained on {self.trained_on_share:.0%} of its cells: gain there {there}, elsewhere {away}"
        )


def whole_recipes(study: Study) -> dict[str, list[str]]:
    """Strategy -> ids of its trained experiments of the full track that no other experiment goes on from."""
    starts = {experiment.start_from for experiment in study.full_track}
    found: dict[str, list[str]] = {}
    for experiment in study.full_track:
        if experiment.legs and experiment.id not in starts:
            found.setdefault(strategy_of(study, experiment), []).append(experiment.id)
    return found


def strategy_cells(relative: RelativeGains) -> list[StrategyCells]:
    """A row for each strategy with results, in the study's order."""
    rows = []
    for strategy, names in whole_recipes(relative.evidence.study).items():
        there = first_runs(relative.evidence, [name for name in names if relative.evidence.has(name)])
        if there:
            rows.append(_row(relative, strategy, there))
    return rows


def _row(relative: RelativeGains, strategy: str, names: Sequence[str]) -> StrategyCells:
    study = relative.evidence.study
    own = {(n, t): trains_on(study, study.experiment(n), t) for n in names for t in study.panel("main")}
    there = [cell for cell in own if cell in relative.cells and cell[1] in relative.tasks]
    gains = {(n, t): relative.cells[n, t].gain * (1 / relative.units[t].gain) for n, t in there}
    inside = [gain for cell, gain in gains.items() if own[cell]]
    outside = [gain for cell, gain in gains.items() if not own[cell]]
    runs = min((relative.cells[cell].runs for cell in there), default=1)
    return StrategyCells(strategy, names, len(own), sum(own.values()) / len(own), _mean(inside), _mean(outside), runs)


def _mean(gains: Sequence[Resampled]) -> CellGain | None:
    if not gains:
        return None
    over = mean(gains)
    interval = over.interval()
    return CellGain(over.point, interval.low, interval.high, len(gains))


def _gain_words(gain: CellGain | None) -> str:
    return "not measured" if gain is None else f"{gain.gain:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})"
