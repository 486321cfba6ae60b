"""RQ5: the least rows, tokens, steps and hours at which a task reaches its share of another model's sourced figure.

Owns the reading of `ThresholdRule`. A task is reached by the smallest rung whose simultaneous lower bound is above the
line, so that many rungs are no better chance than one. Nothing is extrapolated, and a task without a figure of the same
rows and metric is not identifiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from regimen.analysis.declared_contrasts import within
from regimen.analysis.evidence import Evidence
from regimen.analysis.least_amounts import Least, least_amounts, least_words, rows_vary, same_recipe, smallness
from regimen.analysis.measured_figures import measured_anchor
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.rungs import Climber, Rung, bounded, climbers_of
from regimen.analysis.verdicts import Verdict, joined
from regimen.results.floors import floors_of
from regimen.results.references import Anchor, anchor_of, references_of
from regimen.study import ZERO_SHOT
from regimen.study.questions import ThresholdRule

ONLY_STEPS = "Only steps vary between the runs of a recipe{where}, so this speaks of compute, not of rows."


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
    """The best experiment's way towards the lowest and the highest of disagreeing figures."""

    experiment: str
    share_of_low: float
    share_of_high: float


@dataclass(frozen=True)
class Threshold:
    """A task's line, `floor` + fraction (figure - `floor`), and the smallest experiment that is clearly above it.

    `reached_by` is the one with the least steps; `steps_between` holds the steps of the longest shorter experiment of
    its ladder, which is not clearly above it, and its own. `least` has the least amount of each measure. `rows_vary`:
    recipes differ in their rows alone, so that the answer is about rows too. "not reached": the upper bound of every
    rung is below the line.
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
    status: Literal["reached", "not reached", "undecided", "not yet", "not identifiable"] = "not identifiable"
    note: str = ""
    least: Sequence[Least] = ()
    rows_vary: bool = False


def thresholds(evidence: Evidence, rule: ThresholdRule) -> list[Threshold]:
    """One entry for each main task."""
    return [_threshold(evidence, rule, task) for task in evidence.study.panel("main")]


def _threshold(evidence: Evidence, rule: ThresholdRule, task: str) -> Threshold:
    anchor = measured_anchor(evidence, task, rule.anchor) or anchor_of(evidence.study, task, rule.anchor)
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
    climbers = climbers_of(evidence, task, floor, anchor.reference.value)
    if not climbers:
        return replace(entry, status="not yet", note="no trained experiment has a score here")
    return _climbed(evidence, entry, climbers, rule.fraction)


def _range(evidence: Evidence, task: str, floor: float, anchor: Anchor) -> RangeShare | None:
    """The shares of the best experiment, None unless both figures are above the floor."""
    ends = [figure for figure in (anchor.low, anchor.high) if figure is not None and figure > floor]
    shares = []
    for figure in ends:
        climbers = climbers_of(evidence, task, floor, figure)
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


def _climbed(evidence: Evidence, entry: Threshold, climbers: Sequence[Climber], fraction: float) -> Threshold:
    """The smallest rung that is clearly above the line, and the longest shorter one of its ladder."""
    climbers = bounded(climbers)
    nearest = max(climbers, key=lambda climber: climber.share.point)
    reached = [climber for climber in climbers if climber.low >= fraction]
    entry = replace(entry, nearest=nearest.rung(evidence, fraction), rows_vary=rows_vary(climbers))
    if not reached:
        if _missing(evidence, entry.task):
            return replace(entry, status="not yet")
        below = all(climber.high < fraction for climber in climbers)
        return replace(entry, status="not reached" if below else "undecided")
    first = min(reached, key=lambda climber: smallness(climber.rung(evidence, fraction)))
    ladder = [other.steps for other in climbers if same_recipe(other.experiment, first.experiment)]
    between = (max((steps for steps in ladder if steps < first.steps), default=0), first.steps)
    return replace(
        entry,
        status="reached",
        reached_by=first.rung(evidence, fraction),
        steps_between=between,
        least=least_amounts(evidence, entry.task, climbers, fraction),
    )


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
    """Yes: every identifiable task reached; no: every upper bound below the line; depends: some reached, some not."""
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
    states = {entry.status for entry in asked}
    verdicts: dict[frozenset[str], Verdict] = {
        frozenset({"reached"}): "yes",
        frozenset({"not reached"}): "no",
        frozenset({"reached", "not reached"}): "depends",
    }
    verdict = verdicts.get(frozenset(states), "depends" if {"reached", "not reached"} <= states else "undecided")
    return verdict, joined(f"{verdict.capitalize()}: {words}", _compute(asked), without.strip())


def _compute(asked: Sequence[Threshold]) -> str:
    """Where rows do not vary, the answer is about compute."""
    fixed = [entry.task for entry in asked if not entry.rows_vary]
    return ONLY_STEPS.format(where="" if len(fixed) == len(asked) else f" on {', '.join(fixed)}") if fixed else ""


def _words(evidence: Evidence, entry: Threshold, rule: ThresholdRule) -> str:
    """One task's sentence; the task has been climbed."""
    rung = entry.reached_by or entry.nearest
    assert rung is not None
    scores = evidence.scores(entry.task)
    bounds = f"{rung.low:.2f} to {rung.high:.2f} with all rungs at once"
    share = f"{rung.share:.2f} of the way ({bounds}, n = {scores.items if scores else 0})"
    remark = f" [{rule.anchor}: {entry.note}]" if entry.note else ""
    if entry.steps_between is None:
        return f"{entry.task} {entry.status}: {within(rung.runs)}at most {share}, by {rung.experiment}{remark}."
    return (
        f"{entry.task}: {within(rung.runs)}{rung.experiment} is clearly above the line: {share}; "
        f"{least_words(entry.least, rung.experiment)}{remark}."
    )
