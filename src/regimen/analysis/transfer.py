"""Transfer from the training on one source to other tasks: the transfer matrix, and chains stage by stage.

Owns GEM's measures of a chain (Lopez-Paz and Ranzato, NeurIPS 2017; the base's zero-shot score takes the place of a
random start) and the rule that a rate is given only where its denominator is clear of zero. All scores are turned so
that up is better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import Grid, GridCell
from regimen.analysis.over_runs import first_runs, gain_over_runs
from regimen.analysis.records import Size
from regimen.analysis.statistics.metric_sums import Array
from regimen.analysis.statistics.resampling import Resampled
from regimen.study import ZERO_SHOT, EndPoint, Experiment
from regimen.study.contrasts import measures


@dataclass(frozen=True)
class TransferCell:
    """The change against zero-shot of a recipe that trained on one source, on one task, as the mean over its `runs`.

    Of one run `clear` is the grid's corrected test; the grid tests several runs one by one, so of several it says that
    the interval, over items and seeds, excludes zero, and `p_adjusted` is None. `own`: the task is of that source.
    `rate` is the change over what direct fine-tuning on the task itself gains, given only where the interval of the
    latter excludes zero.
    """

    experiment: str
    trained_on: str
    kind: str
    steps: int
    tested_on: str
    own: bool
    delta: float
    low: float
    high: float
    p_adjusted: float | None
    clear: bool
    n: Size
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    runs: int = 1


@dataclass(frozen=True)
class ChainStage:
    """A stage of a chain: the end point after it, its training, and the tasks that show whether it is kept."""

    end: EndPoint
    kind: str
    sources: Sequence[str]
    steps: int
    measured_by: Sequence[str]


@dataclass(frozen=True)
class StageEffect:
    """A task's change against zero-shot after a stage."""

    delta: float
    low: float
    high: float
    p_adjusted: float | None


@dataclass(frozen=True)
class ChainEffect:
    """A task's change after each stage, None where it was not scored."""

    task: str
    after: Sequence[StageEffect | None]


@dataclass(frozen=True)
class Chain:
    """A sequence of trainings that ends in the experiment `chain`, with GEM's measures where its scores allow them."""

    chain: str
    stages: Sequence[ChainStage]
    effects: Sequence[ChainEffect]
    backward_transfer: float | None = None
    forward_transfer: float | None = None
    forgetting: Mapping[str, float | None] | None = None


def backward_transfer(scores: Array) -> float:
    """BWT = 1/(T-1) sum over i < T of R[T, i] - R[i, i], for scores (stages, stages' own tasks)."""
    last = len(scores) - 1
    return float(np.mean([scores[last, i] - scores[i, i] for i in range(last)])) if last else math.nan


def forward_transfer(scores: Array, base: Sequence[float]) -> float:
    """FWT = 1/(T-1) sum over i >= 2 of R[i-1, i] - b[i], b being the base's scores."""
    stages = len(scores)
    return float(np.mean([scores[i - 1, i] - base[i] for i in range(1, stages)])) if stages > 1 else math.nan


def forgetting(scores: Array) -> list[float]:
    """For each task but the last: the best score before the end, less the score at the end."""
    last = len(scores) - 1
    return [float(scores[:last, i].max() - scores[last, i]) for i in range(last)]


def transfer_matrix(evidence: Evidence, grid: Grid) -> list[TransferCell]:
    """A cell for each single-source recipe of the full track and main task."""
    direct = _direct(evidence)
    entries = []
    for name in first_runs(evidence, evidence.trained):
        experiment = evidence.study.experiment(name)
        leg = experiment.single_leg
        if leg is None or len(leg.mixture) != 1:
            continue
        for task in evidence.study.panel("main"):
            if cell := grid.get((name, task)):
                entries.append(_transfer(evidence, experiment, task, cell, direct.get(task)))
    return entries


def _direct(evidence: Evidence) -> dict[str, str]:
    """Task -> the recipe that is fine-tuned on that task's source alone, the longest, by its first run."""
    found: dict[str, Experiment] = {}
    for name in first_runs(evidence, evidence.trained):
        experiment = evidence.study.experiment(name)
        leg = experiment.single_leg
        if leg is None or leg.kind != "finetune":
            continue
        for task, shape in evidence.study.panel("main").items():
            if list(leg.mixture) == list(shape.source):
                known = found.get(task)
                found[task] = experiment if known is None or experiment.steps > known.steps else known
    return {task: experiment.id for task, experiment in found.items()}


def _transfer(
    evidence: Evidence, experiment: Experiment, task: str, cell: GridCell, direct: str | None
) -> TransferCell:
    over = gain_over_runs(evidence, experiment.id, {task: 1.0})
    several = over is not None and over.runs > 1
    gain = over.number if over is not None and several else cell.gain
    interval, leg = gain.interval(), experiment.legs[0]
    source = next(iter(leg.mixture))
    rate = _rate(evidence, gain, direct, task) if direct != experiment.id else None
    rate_, low, high = rate or (None, None, None)
    return TransferCell(
        experiment=experiment.id,
        trained_on=source,
        kind=leg.kind,
        steps=leg.steps,
        tested_on=task,
        own=source in evidence.study.tasks[task].source,
        delta=gain.point,
        low=interval.low,
        high=interval.high,
        p_adjusted=None if several else cell.p_adjusted,
        clear=(interval.low > 0 or interval.high < 0) if several else cell.clear,
        n=Size(cell.items, cell.clusters),
        rate=rate_,
        rate_low=low,
        rate_high=high,
        runs=over.runs if over is not None else 1,
    )


def _rate(evidence: Evidence, gain: Resampled, direct: str | None, task: str) -> tuple[float, float, float] | None:
    """gain over the direct gain, with the percentile interval of the ratio; None where that is not clear of zero."""
    over = gain_over_runs(evidence, direct, {task: 1.0}) if direct else None
    whole = over.number if over else None
    if whole is None or whole.point <= 0 or whole.interval().low <= 0:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = gain.draws / whole.draws
    ratios = ratios[np.isfinite(ratios)]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return gain.point / whole.point, float(low), float(high)


def chains(evidence: Evidence, grid: Grid) -> list[Chain]:
    """Each chain of the full track: its stages, every task's change against zero-shot after each, GEM's measures."""
    starts = {evidence.study.experiment(name).start_from for name in evidence.trained}
    found = []
    for name in evidence.trained:
        experiment = evidence.study.experiment(name)
        if name not in starts and (experiment.start_from or len(experiment.legs) > 1):
            found.append(_chain(evidence, grid, experiment))
    return [chain for chain in found if chain.effects]


def _stages(evidence: Evidence, last: Experiment) -> list[ChainStage]:
    study, tasks = evidence.study, evidence.study.tasks
    stages = _stages(evidence, study.experiment(last.start_from)) if last.start_from else []
    for number, leg in enumerate(last.legs, start=1):
        end = last.end_of_leg(number)
        sources = list(leg.mixture)
        stages.append(ChainStage(end, leg.kind, sources, leg.steps, measures(leg.kind, sources, tasks)))
    return stages


def _chain(evidence: Evidence, grid: Grid, last: Experiment) -> Chain:
    stages = _stages(evidence, last)
    effects = []
    for task in evidence.study.tasks:
        steps = [_effect(evidence, grid, str(stage.end), task) for stage in stages]
        if any(step is not None for step in steps):
            effects.append(ChainEffect(task, steps))
    return Chain(last.id, stages, effects, *_gem(evidence, stages))


def _effect(evidence: Evidence, grid: Grid, end: str, task: str) -> StageEffect | None:
    gain = evidence.gain(end, ZERO_SHOT, task)
    if gain is None:
        return None
    interval, cell = gain.interval(), grid.get((end, task))
    return StageEffect(gain.point, interval.low, interval.high, cell.p_adjusted if cell else None)


def _gem(
    evidence: Evidence, stages: Sequence[ChainStage]
) -> tuple[float | None, float | None, dict[str, float | None] | None]:
    """(BWT, FWT, forgetting) where each stage has one task and the scores they need are there; else None."""
    tasks = [stage.measured_by[0] for stage in stages if len(stage.measured_by) == 1]
    if len(tasks) != len(stages) or len(stages) < 2:
        return None, None, None
    signs = [sign_of(evidence, task) for task in tasks]
    table = np.full((len(stages), len(stages)), np.nan)
    for row, stage in enumerate(stages):
        for column, task in enumerate(tasks):
            value = evidence.value(str(stage.end), task)
            table[row, column] = math.nan if value is None else signs[column] * value.point
    base = [math.nan if (b := evidence.value(ZERO_SHOT, task)) is None else sign * b.point
            for task, sign in zip(tasks, signs, strict=True)]  # fmt: skip
    lost = {task: _known(value) for task, value in zip(tasks, forgetting(table), strict=False)}
    return _known(backward_transfer(table)), _known(forward_transfer(table, base)), lost


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def sign_of(evidence: Evidence, task: str) -> int:
    """+1 where more is better on the task's headline metric, -1 where less is."""
    scores = evidence.scores(task)
    return scores.sign if scores else 1
