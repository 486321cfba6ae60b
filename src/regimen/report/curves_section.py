"""Curves: training losses and validation points of chosen experiments, by step, tokens or hours.

Owns the numbers under the curves: at most `POINTS` of each training, and about `ALL_POINTS` over all of them. Does not
know how they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from regimen.plan import PlannedExperiment, TrainSpec
from regimen.report.facts import seconds_of
from regimen.report.html_page import render
from regimen.report.run_reading import Reading, RunReading
from regimen.report.section import Section
from regimen.results import TrainedFacts, facts_of
from regimen.results.tables import Trace
from regimen.results.tuning import way_to

POINTS = 300
ALL_POINTS = 60_000  # over the trainings of a page
SHOWN = 6  # experiments that are drawn until a reader chooses


@dataclass(frozen=True)
class StageEnd:
    """The end of a stage of a training, counted from the first: steps, tokens, and hours (None: not known)."""

    step: int
    tokens: int
    hours: float


@dataclass(frozen=True)
class ValidationLoss:
    """A point on validation rows: the step over all legs, the loss in nats a token, the scores by task."""

    step: int
    loss: float | None
    scores: dict[str, float | None]


@dataclass(frozen=True)
class LossCurve:
    """The losses of one experiment's training, in nats a token; steps are counted over all legs, from 1.

    Each of `losses` is the mean of the finite losses of `each` steps up to that of `steps` (None where there is none);
    `broken` counts the others. `legs` are the steps at which legs end, `kept` those whose weights were kept as best.
    `last` is the mean of the last tenth of the last stage, as the recipe shows it (None: not finished). `start_from` is
    the experiment whose end it begins with, whose own steps are not counted here.
    """

    id: str
    title: str
    phase: str
    start_from: str | None
    steps: Sequence[int]
    losses: Sequence[float | None]
    each: int
    broken: int
    ends: Sequence[StageEnd]
    legs: Sequence[int]
    validation: Sequence[ValidationLoss]
    kept: Sequence[int]
    last: float | None


def curves_section(reading: Reading) -> Section | None:
    """The section; None before anything was trained."""
    points = min(POINTS, max(20, ALL_POINTS // max(1, len(reading.trained))))
    curves = [curve for planned in reading.trained if (curve := loss_curve(reading, planned, points)) is not None]
    return curves_of(curves, _first(reading, curves))


def curves_of(curves: Sequence[LossCurve], first: Sequence[str]) -> Section | None:
    """The section of these curves, those of `first` drawn until a reader chooses; None where there are none."""
    if not curves:
        return None
    return Section(
        name="curves",
        title="Curves",
        html=Markup(render("curves.html.jinja", {"curves": curves})),
        blocks={"curves": {"curves": curves, "first": first}},
        script="curves.js",
        libraries=("uplot",),
        printed=False,
    )


def _first(reading: Reading, curves: Sequence[LossCurve]) -> list[str]:
    """What is drawn at first: of each phase the experiment with the largest mean change, at most `SHOWN`."""

    def gain(curve: LossCurve) -> float:
        mean = reading.means.get(curve.id)
        return mean.mean if mean else -math.inf

    phases = dict.fromkeys(curve.phase for curve in curves)
    best = [max((curve for curve in curves if curve.phase == phase), key=gain) for phase in phases]
    return [curve.id for curve in best[:SHOWN]]


def loss_curve(reading: RunReading, planned: PlannedExperiment, points: int = POINTS) -> LossCurve | None:
    """The curve of an experiment, of at most `points` points; None where it has no step yet."""
    trace = reading.traces.get(planned.experiment.id, [])
    if not trace:
        return None
    legs = _leg_ends(reading, planned)
    ends, validation, kept = _stages(reading, planned, [0, *legs])
    each = max(1, math.ceil(len(trace) / points))
    steps, losses = _thinned(trace, [0, *legs], each)
    last = facts_of(reading.tables.outcomes, planned.ends[-1], TrainedFacts)
    return LossCurve(
        id=planned.experiment.id,
        title=planned.experiment.title,
        phase=planned.experiment.phase,
        start_from=planned.experiment.start_from,
        steps=steps,
        losses=losses,
        each=each,
        broken=sum(_finite(point.get("loss")) is None for point in trace),
        ends=ends,
        legs=legs,
        validation=validation,
        kept=kept,
        last=last.last_loss if last else None,
    )


def _spec(reading: RunReading, name: str) -> TrainSpec:
    stage = reading.plan.stages[name]
    assert isinstance(stage, TrainSpec)
    return stage


def _leg_ends(reading: RunReading, planned: PlannedExperiment) -> list[int]:
    """The step, over all legs, at which each leg ends."""
    ends: list[int] = []
    for name in planned.ends:
        ends.append((ends[-1] if ends else 0) + _spec(reading, name).last_step)
    return ends


def _stages(
    reading: RunReading, planned: PlannedExperiment, before: Sequence[int]
) -> tuple[list[StageEnd], list[ValidationLoss], list[int]]:
    """The ends of finished stages, the validation points and the kept steps; `before` has the steps before each leg."""
    ends: list[StageEnd] = []
    validation: list[ValidationLoss] = []
    kept: list[int] = []
    leg, tokens, seconds, whole = 0, 0, 0.0, True
    for name in way_to(reading.plan, reading.tables.outcomes, planned):
        spec, facts = _spec(reading, name), facts_of(reading.tables.outcomes, name, TrainedFacts)
        leg += spec.parent is None
        offset, whole = before[leg - 1], whole and facts is not None
        if facts is None:
            continue
        tokens, seconds = tokens + facts.tokens, seconds + seconds_of(reading.tables.outcomes[name])
        if whole:  # what follows a gap cannot be placed by tokens or hours
            ends.append(StageEnd(offset + facts.last_step, tokens, round(seconds / 3600, 6)))
        validation += [ValidationLoss(offset + one.step, _finite(one.loss), one.scores) for one in facts.validation]
        kept += [offset + facts.kept.step] if facts.kept else []
    return ends, validation, kept


def _thinned(trace: Trace, before: Sequence[int], each: int) -> tuple[list[int], list[float | None]]:
    """(steps over all legs, mean losses): a point for every `each` steps, the last for what is left."""
    steps: list[int] = []
    losses: list[float | None] = []
    for start in range(0, len(trace), each):
        points = trace[start : start + each]
        finite = [loss for point in points if (loss := _finite(point.get("loss"))) is not None]
        steps.append(before[points[-1]["leg"] - 1] + points[-1]["step"] + 1)
        losses.append(round(math.fsum(finite) / len(finite), 5) if finite else None)
    return steps, losses


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
