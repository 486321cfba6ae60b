"""RQ5: the least steps, hours and rows at which a task reaches its share of another model's sourced figure.

Owns the reading of `ThresholdRule`. Nothing is extrapolated: a task is reached by an experiment that was run, the step
count lies between it and the longest shorter one that did not reach, and a task without a figure of the same rows and
metric is not identifiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from regimen.analysis.evidence import Evidence
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.statistics.resampling import Resampled
from regimen.analysis.strategies import recipe_hours, recipe_steps
from regimen.analysis.verdicts import Verdict
from regimen.plan import PrepareSpec, TrainSpec
from regimen.results.facts import PreparedFacts, TrainedFacts
from regimen.results.floors import floors_of
from regimen.results.references import Anchor, anchor_of, references_of
from regimen.study import ZERO_SHOT, Experiment
from regimen.study.questions import ThresholdRule


@dataclass(frozen=True)
class SourcedFigure:
    """Another model's figure on the same rows and metric, and where it was published."""

    value: float
    model: str
    metric: str
    n: int | None
    protocol: str
    source: str
    url: str
    rows: str


@dataclass(frozen=True)
class FigureRange:
    """The lowest and the highest of figures that disagree, so that there is no one value."""

    value: None
    low: float
    high: float | None


@dataclass(frozen=True)
class OtherFigure:
    """A further figure of the model's family, to be shown and no more."""

    model: str
    variant: str
    value: float
    source: str
    status: str
    use: str


@dataclass(frozen=True)
class RangeShare:
    """How far the best experiment came towards the lowest and the highest of disagreeing figures."""

    experiment: str
    share_of_low: float
    share_of_high: float


@dataclass(frozen=True)
class Rung:
    """An experiment on the way: its cost, its share of the way from floor to figure, and if the line is cleared.

    `rows_seen` is None where epochs were not recorded; `clear`: the whole interval is at or above the line.
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
class Threshold:
    """A task's line, `floor` + fraction (figure - `floor`), and the first experiment that reached it.

    `steps_between` holds the steps of the longest shorter experiment of its ladder and its own.
    """

    task: str
    metric: str
    anchor: SourcedFigure | FigureRange | None
    beside: Sequence[OtherFigure]
    range: RangeShare | None = None
    floor: float | None = None
    threshold: float | None = None
    reached_by: Rung | None = None
    nearest: Rung | None = None
    steps_between: tuple[int, int] | None = None
    status: Literal["reached", "not reached", "not yet", "not identifiable"] = "not identifiable"
    note: str = ""


@dataclass(frozen=True)
class _Climber:
    """An experiment, the steps of its whole recipe, and its share of the way with its draws."""

    experiment: Experiment
    steps: int
    share: Resampled


def thresholds(evidence: Evidence, rule: ThresholdRule) -> list[Threshold]:
    """One entry for each main task."""
    return [_threshold(evidence, rule, task) for task in evidence.study.panel("main")]


def _threshold(evidence: Evidence, rule: ThresholdRule, task: str) -> Threshold:
    anchor = anchor_of(evidence.study, task, rule.anchor)
    blank = Threshold(task, evidence.study.tasks[task].headline, _figure(anchor), _beside(evidence, task, rule.anchor))
    floor, lacking = _floor(evidence, task)
    if anchor.reference is None:
        if anchor.low is None:
            return replace(blank, note=anchor.note)
        shares = None if lacking else _range(evidence, task, floor, anchor)
        return replace(blank, range=shares, note=f"{anchor.note}; no single line is defensible")
    if evidence.state(ZERO_SHOT, task) == "skipped":
        return replace(blank, note="the task was skipped here")
    if lacking:
        return replace(blank, status="not yet", note=lacking)
    if anchor.reference.value <= floor:
        return replace(blank, note=f"the {rule.anchor} figure is not above the floor of {floor:.3f}")
    line = floor + rule.fraction * (anchor.reference.value - floor)
    entry = replace(blank, floor=floor, threshold=line, note=anchor.note)
    climbers = _climbers(evidence, task, floor, anchor.reference.value)
    if not climbers:
        return replace(entry, status="not yet", note="no trained experiment has a score here")
    return _climbed(evidence, entry, climbers, rule.fraction)


def _range(evidence: Evidence, task: str, floor: float, anchor: Anchor) -> RangeShare | None:
    """The shares of the best experiment, None unless both figures are above the floor."""
    ends = [figure for figure in (anchor.low, anchor.high) if figure is not None and figure > floor]
    shares = []
    for figure in ends:
        climbers = _climbers(evidence, task, floor, figure)
        if climbers:
            shares.append(max(climbers, key=lambda climber: climber.share.point))
    if len(shares) != 2:
        return None
    near, far = shares
    return RangeShare(far.experiment.id, near.share.point, far.share.point)


def _beside(evidence: Evidence, task: str, model: str) -> list[OtherFigure]:
    """The other sourced figures of the model's family on the task's metric."""
    metric = evidence.study.tasks[task].headline
    return [
        OtherFigure(r.model, r.variant, r.value, r.source, r.status, r.use)
        for r in references_of(evidence.study, task)
        if r.metric == metric and r.model.startswith(model) and r.use != "anchor"
    ]


def _climbed(evidence: Evidence, entry: Threshold, climbers: Sequence[_Climber], fraction: float) -> Threshold:
    """Where the first one reaches, that one and the steps between it and the longest shorter one of its ladder."""
    nearest = max(climbers, key=lambda climber: climber.share.point)
    reached = [climber for climber in climbers if climber.share.point >= fraction]
    entry = replace(entry, nearest=_rung(evidence, nearest, fraction))
    if not reached:
        return replace(entry, status="not yet" if _missing(evidence, entry.task) else "not reached")
    first = min(reached, key=lambda climber: (climber.steps, -climber.share.point))
    shorter = [other.steps for other in climbers if other.steps < first.steps and _same_recipe(other, first)]
    between = (max(shorter, default=0), first.steps)
    return replace(entry, status="reached", reached_by=_rung(evidence, first, fraction), steps_between=between)


def _same_recipe(one: _Climber, other: _Climber) -> bool:
    mixtures = [[(leg.kind, dict(leg.mixture)) for leg in climber.experiment.legs] for climber in (one, other)]
    return mixtures[0] == mixtures[1] and one.experiment.start_from == other.experiment.start_from


def _climbers(evidence: Evidence, task: str, floor: float, figure: float) -> list[_Climber]:
    """Every trained experiment with a score on the task, controls among them, shortest first."""
    climbers = []
    for planned in evidence.whole.experiments:
        value = evidence.value(planned.experiment.id, task) if planned.experiment.legs else None
        if value is not None:
            shifted = Resampled(value.point - floor, value.draws - floor, value.changes)
            steps = recipe_steps(evidence.study, planned.experiment)
            climbers.append(_Climber(planned.experiment, steps, shifted * (1 / (figure - floor))))
    return sorted(climbers, key=lambda climber: (climber.steps, climber.experiment.id))


def _rung(evidence: Evidence, climber: _Climber, fraction: float) -> Rung:
    interval, experiment = climber.share.interval(), climber.experiment
    return Rung(
        experiment=experiment.id,
        steps=climber.steps,
        gpu_hours=recipe_hours(evidence.plan, experiment),
        rows_seen=rows_seen(evidence, experiment),
        share=climber.share.point,
        low=interval.low,
        high=interval.high,
        clear=interval.low >= fraction,
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


def _floor(evidence: Evidence, task: str) -> tuple[float, str | None]:
    """Majority or chance, 0 for open answers; or what is missing."""
    if evidence.study.tasks[task].scoring != "choice":
        return 0.0, None
    floors = floors_of(evidence.plan, evidence.tables.outcomes, task)
    if floors is None:
        return 0.0, "the majority and chance lines are not there"
    return floors.floor(evidence.study.tasks[task].headline), None


def _missing(evidence: Evidence, task: str) -> list[str]:
    full = evidence.study.full_track
    return [e.id for e in full if e.legs and evidence.state(e.id, task) == "missing"]


def _figure(anchor: Anchor) -> SourcedFigure | FigureRange | None:
    found = anchor.reference
    if found is None:
        return FigureRange(None, anchor.low, anchor.high) if anchor.low is not None else None
    return SourcedFigure(
        found.value, found.model, found.metric, found.n, found.protocol, found.source, found.url, found.rows
    )


def by_thresholds(entries: Sequence[Threshold], rule: ThresholdRule, relative: RelativeGains) -> tuple[Verdict, str]:
    """Yes: every identifiable task reached, with the interval above the line; no: none reached; else mixed."""
    asked = [entry for entry in entries if entry.status != "not identifiable"]
    left = [entry.task for entry in entries if entry.status == "not identifiable"]
    without = f" Not identifiable: {', '.join(left)}." if left else ""
    if not asked:
        reasons = "; ".join(dict.fromkeys(entry.note for entry in entries))
        return "not identifiable", f"Not identifiable: no task has a {rule.anchor} figure to compare with ({reasons})."
    tasks = {entry.task for entry in asked}
    missing = [str(score) for score in relative.lacking() if score.task in tasks]
    missing += [entry.note for entry in asked if entry.status == "not yet"]
    if missing:
        return "not yet", f"Not yet: what the threshold rests on is missing ({missing[0]}).{without}"
    words = " ".join(_words(relative.evidence, entry, rule) for entry in asked)
    reached = [entry.reached_by for entry in asked if entry.reached_by is not None]
    if len(reached) == len(asked) and all(rung.clear for rung in reached):
        return "yes", f"Yes: {words}{without}"
    return ("mixed", f"Mixed: {words}{without}") if reached else ("no", f"No: {words}{without}")


def _words(evidence: Evidence, entry: Threshold, rule: ThresholdRule) -> str:
    """One task's sentence; the task has been climbed."""
    rung = entry.reached_by or entry.nearest
    assert rung is not None
    scores = evidence.scores(entry.task)
    share = f"{rung.share:.2f} of the way ({rung.low:.2f} to {rung.high:.2f}, n = {scores.items if scores else 0})"
    remark = f" [{rule.anchor}: {entry.note}]" if entry.note else ""
    if entry.steps_between is None:
        return f"{entry.task} not reached: at most {share}, by {rung.experiment}{remark}."
    low, high = entry.steps_between
    doubt = "" if rung.clear else f"; the interval reaches below {rule.fraction:g}"
    return (
        f"{entry.task} reached by {rung.experiment} after more than {low:,} and at most {high:,} steps "
        f"({rung.gpu_hours:.2f} GPU-hours): {share}{doubt}{remark}."
    )
