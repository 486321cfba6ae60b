"""The rungs of a task: the experiments that may reach a line on it, each with its share of the way and its cost.

Owns which experiments are rungs and the bounds that hold for all of them at once. Does not know lines or verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from regimen.analysis.evidence import Evidence
from regimen.analysis.statistics.resampling import LEVEL, Resampled
from regimen.analysis.strategies import recipe_hours, recipe_steps, trains_on
from regimen.plan import PrepareSpec, TrainSpec
from regimen.results.facts import PreparedFacts, TrainedFacts
from regimen.study import Experiment

_ONE_SIDED = 1.6449  # the normal quantile at 95%: bounds for many rungs are never tighter than for one


@dataclass(frozen=True)
class Rung:
    """An experiment on the way: its cost, its share of the way from floor to figure, and if the line is cleared.

    `low` and `high` are one-sided 95% bounds that hold for all rungs of the task at once. `rows_seen` is None where
    epochs were not recorded; `clear`: the lower bound is at or above the line.
    """

    experiment: str
    steps: int
    gpu_hours: float
    rows_seen: float | None
    share: float
    low: float
    high: float
    clear: bool


@dataclass(frozen=True)
class Climber:
    """An experiment, the steps of its whole recipe, and its share of the way with its draws.

    `unit` is what one point of the score is of the way."""

    experiment: Experiment
    steps: int
    share: Resampled
    unit: float
    low: float = -math.inf
    high: float = math.inf


def climbers_of(evidence: Evidence, task: str, floor: float, figure: float) -> list[Climber]:
    """The rungs, shortest first, controls among them: the experiments that trained on the task's own rows.

    Where no experiment of the study does, every trained one.
    """
    climbers = []
    trained = [planned.experiment for planned in evidence.whole.experiments if planned.experiment.legs]
    own = [experiment for experiment in trained if trains_on(evidence.study, experiment, task)]
    for experiment in own or trained:
        value = evidence.value(experiment.id, task)
        if value is not None:
            shifted = Resampled(value.point - floor, value.draws - floor, value.changes)
            steps = recipe_steps(evidence.study, experiment)
            climbers.append(Climber(experiment, steps, shifted * (1 / (figure - floor)), 1 / (figure - floor)))
    return sorted(climbers, key=lambda climber: (climber.steps, climber.experiment.id))


def bounded(climbers: Sequence[Climber], level: float = LEVEL) -> list[Climber]:
    """The climbers with one-sided bounds that hold for all of them together.

    The largest standardised deviation over the joint draws (max-t; Westfall and Young 1993). No standard error is taken
    for smaller than that of a share of which no item differs, 2/(n + 4): a bootstrap of equal items has none.
    """
    shares = [climber.share for climber in climbers]
    least = [2 * one.unit / (sum(map(len, one.share.changes.values())) + 4) for one in climbers]
    errors = np.array([max(share.se, floor) for share, floor in zip(shares, least, strict=True)])
    points = np.array([share.point for share in shares])
    deviations = (np.stack([share.draws for share in shares], axis=1) - points) / errors
    up = max(float(np.quantile(deviations.max(axis=1), level)), _ONE_SIDED)
    down = max(float(np.quantile(-deviations.min(axis=1), level)), _ONE_SIDED)
    return [
        replace(climber, low=float(point - up * error), high=float(point + down * error))
        for climber, point, error in zip(climbers, points, errors, strict=True)
    ]


def same_recipe(one: Climber, other: Climber) -> bool:
    mixtures = [[(leg.kind, dict(leg.mixture)) for leg in climber.experiment.legs] for climber in (one, other)]
    return mixtures[0] == mixtures[1] and one.experiment.start_from == other.experiment.start_from


def rung_of(evidence: Evidence, climber: Climber, fraction: float) -> Rung:
    experiment = climber.experiment
    return Rung(
        experiment=experiment.id,
        steps=climber.steps,
        gpu_hours=recipe_hours(evidence.plan, experiment),
        rows_seen=rows_seen(evidence, experiment),
        share=climber.share.point,
        low=climber.low,
        high=climber.high,
        clear=climber.low >= fraction,
    )


def rows_seen(evidence: Evidence, experiment: Experiment) -> float | None:
    """Rows drawn over the recipe's own legs, repeats counted: epochs times each source's rows; None if not recorded."""
    planned = evidence.planned(experiment.id)
    total = 0.0
    for name in planned.ends if planned else ():
        stage, outcome = evidence.whole.stages[name], evidence.outcomes.get(name)
        if outcome is None or not isinstance(stage, TrainSpec) or not isinstance(outcome.facts, TrainedFacts):
            return None
        for source, epochs in outcome.facts.epochs.items():
            rows = _rows_of(evidence, stage, source)
            if rows is None:
                return None
            total += epochs * rows
    return total or None


def _rows_of(evidence: Evidence, stage: TrainSpec, source: str) -> int | None:
    for name in stage.leg.sources.values():
        spec, outcome = evidence.whole.stages.get(name), evidence.outcomes.get(name)
        if isinstance(spec, PrepareSpec) and spec.source_name == source and outcome is not None:
            return outcome.facts.rows if isinstance(outcome.facts, PreparedFacts) else None
    return None
