"""The rungs of a task: the experiments that may reach a line on it, each with its share of the way and its cost.

Owns which experiments are rungs and the bounds that hold for all of them at once. Does not know lines or verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from regimen.analysis.evidence import Evidence
from regimen.analysis.over_runs import first_runs, score_over_runs
from regimen.analysis.statistics.resampling import LEVEL, Resampled
from regimen.analysis.strategies import recipe_hours, recipe_steps, trains_on
from regimen.study import Experiment

_ROUNDS = 8  # of a bound and the spread that it implies, until they agree
_ONE_SIDED = 1.6449  # the normal quantile at 95%: bounds for many rungs are never tighter than for one


@dataclass(frozen=True)
class Rung:
    """An experiment on the way: its cost, its share of the way from floor to figure, and if the line is cleared.

    Amounts are of the whole recipe, what it starts from counted; None where they were not recorded. `unique_rows` are
    the different rows that it could draw, `rows_seen` those drawn, repeats counted. `low` and `high` are one-sided 95%
    bounds that hold for all rungs of the task at once; `clear`: the lower bound is at or above the line. `runs`: how
    many runs of the recipe it is the mean of.
    """

    experiment: str
    steps: int
    gpu_hours: float
    rows_seen: float | None
    share: float
    low: float
    high: float
    clear: bool
    runs: int = 1
    unique_rows: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, eq=False)
class Climber:
    """An experiment, the steps of its whole recipe, and its share of the way with its draws.

    `unit` is what one point of the score is of the way, `floor` the score where the way begins."""

    experiment: Experiment
    steps: int
    share: Resampled
    unit: float
    floor: float
    low: float = -math.inf
    high: float = math.inf
    runs: int = 1

    def rung(self, evidence: Evidence, fraction: float) -> Rung:
        """The climber as a rung, held against the share of the way where the line is."""
        amounts = evidence.amounts(self.experiment.id)
        return Rung(
            experiment=self.experiment.id,
            steps=self.steps,
            gpu_hours=recipe_hours(evidence.plan, self.experiment),
            rows_seen=amounts.epochs * amounts.unique_rows if amounts else None,
            share=self.share.point,
            low=self.low,
            high=self.high,
            clear=self.low >= fraction,
            runs=self.runs,
            unique_rows=amounts.unique_rows if amounts else None,
            tokens=amounts.tokens if amounts else None,
        )


def climbers_of(evidence: Evidence, task: str, floor: float, figure: float) -> list[Climber]:
    """The rungs, shortest first, controls among them: the recipes that trained on the task's own rows, over their runs.

    Where no experiment of the study does, every trained one.
    """
    climbers = []
    trained = [planned.experiment for planned in evidence.whole.experiments if planned.experiment.legs]
    own = [experiment for experiment in trained if trains_on(evidence.study, experiment, task)]
    for name in first_runs(evidence, [experiment.id for experiment in own or trained]):
        over, experiment = score_over_runs(evidence, name, task), evidence.study.experiment(name)
        if over is not None:
            value = over.number
            shifted = Resampled(value.point - floor, value.draws - floor, value.changes)
            steps = recipe_steps(evidence.study, experiment)
            unit = 1 / (figure - floor)
            climbers.append(Climber(experiment, steps, shifted * unit, unit, floor, runs=over.runs))
    return sorted(climbers, key=lambda climber: (climber.steps, climber.experiment.id))


def bounded(climbers: Sequence[Climber], level: float = LEVEL) -> list[Climber]:
    """The climbers with one-sided bounds that hold for all of them together.

    The largest standardised deviation over the joint draws (max-t; Westfall and Young 1993). A model that happens to do
    well also seems to vary little, so a bound takes the spread to be at least that of a 0/1 score as large as the bound
    itself, as score intervals do (Wilson 1927). No standard error is smaller than that of a score of which no item
    differs, 2/(n + 4).
    """
    errors = np.array([max(one.share.se, 2 * one.unit / (_clusters(one) + 4)) for one in climbers])
    points = np.array([one.share.point for one in climbers])
    deviations = (np.stack([one.share.draws for one in climbers], axis=1) - points) / errors
    tails = [float(np.quantile(side, level)) for side in (deviations.max(axis=1), -deviations.min(axis=1))]
    reach = max(*tails, _ONE_SIDED)
    return [
        replace(one, low=_bound(one, float(error), -reach), high=_bound(one, float(error), reach))
        for one, error in zip(climbers, errors, strict=True)
    ]


def _bound(climber: Climber, error: float, reach: float) -> float:
    bound = climber.share.point
    for _ in range(_ROUNDS):
        score = min(max(climber.floor + bound / climber.unit, 0.0), 1.0)
        spread = climber.unit * math.sqrt(score * (1 - score) / _clusters(climber))
        half = math.copysign(climber.unit / (2 * _clusters(climber)), reach)  # a bound lies between two counts
        bound = climber.share.point + reach * max(error, spread) + half
    return bound


def _clusters(climber: Climber) -> int:
    return sum(map(len, climber.share.changes.values()))
