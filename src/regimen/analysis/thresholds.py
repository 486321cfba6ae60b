"""RQ5: the least steps, hours and rows at which a task reaches its share of another model's sourced figure.

Owns the reading of `ThresholdRule`. Nothing is extrapolated: a task is reached by an experiment that was run, the step
count lies between it and the longest shorter one that did not reach, and a task without a figure of the same rows and
metric is not identifiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from regimen.analysis.evidence import Evidence
from regimen.analysis.relative_gains import Relative
from regimen.analysis.statistics.resampling import Resampled
from regimen.analysis.strategies import recipe_hours, recipe_steps
from regimen.analysis.verdicts import Verdict
from regimen.plan import PrepareSpec, TrainSpec
from regimen.results.floors import floors_of
from regimen.results.references import Anchor, anchor_of, references_of
from regimen.study import ZERO_SHOT, Experiment
from regimen.study.questions import ThresholdRule


@dataclass(frozen=True)
class Rung:
    """One experiment on the way: its recipe's steps, and how far it came, with its draws."""

    experiment: Experiment
    steps: int
    share: Resampled


def thresholds(evidence: Evidence, rule: ThresholdRule) -> list[dict[str, Any]]:
    """One entry for each main task: "reached", "not reached", "not yet" or "not identifiable", with why."""
    return [_task(evidence, rule, task) for task in evidence.study.panel("main")]


def _task(evidence: Evidence, rule: ThresholdRule, task: str) -> dict[str, Any]:
    anchor = anchor_of(evidence.study, task, rule.anchor)
    entry: dict[str, Any] = {"task": task, "metric": evidence.study.tasks[task].headline, "anchor": _anchor(anchor)}
    entry |= {"beside": _beside(evidence, task, rule.anchor), "range": None}
    floor, lacking = _floor(evidence, task)
    blank = dict.fromkeys(("floor", "threshold", "reached_by", "nearest", "steps_between"))
    if anchor.reference is None:
        if anchor.low is None:
            return entry | blank | {"status": "not identifiable", "note": anchor.note}
        entry["range"] = None if lacking else _range(evidence, task, floor, anchor)
        note = f"{anchor.note}; no single line is defensible"
        return entry | blank | {"status": "not identifiable", "note": note}
    if evidence.state(ZERO_SHOT, task) == "skipped":
        return entry | blank | {"status": "not identifiable", "note": "the task was skipped here"}
    if lacking:
        return entry | blank | {"status": "not yet", "note": lacking}
    if anchor.reference.value <= floor:
        note = f"the {rule.anchor} figure is not above the floor of {floor:.3f}"
        return entry | blank | {"status": "not identifiable", "note": note}
    line = floor + rule.fraction * (anchor.reference.value - floor)
    entry |= blank | {"floor": floor, "threshold": line, "note": anchor.note}
    rungs = _rungs(evidence, task, floor, anchor.reference.value)
    if not rungs:
        return entry | {"status": "not yet", "note": "no trained experiment has a score here"}
    return entry | _climbed(evidence, task, rungs, rule.fraction)


def _range(evidence: Evidence, task: str, floor: float, anchor: Anchor) -> dict[str, Any] | None:
    """How far the best experiment came towards the lowest and the highest of disagreeing figures."""
    ends = [figure for figure in (anchor.low, anchor.high) if figure is not None and figure > floor]
    shares = []
    for figure in ends:
        rungs = _rungs(evidence, task, floor, figure)
        if rungs:
            shares.append(max(rungs, key=lambda rung: rung.share.point))
    if len(shares) != 2:
        return None
    near, far = shares
    return {"experiment": far.experiment.id, "share_of_low": near.share.point, "share_of_high": far.share.point}


def _beside(evidence: Evidence, task: str, model: str) -> list[dict[str, Any]]:
    """The other sourced figures of the model's family on the task's metric, to be shown and no more."""
    metric = evidence.study.tasks[task].headline
    return [
        {"model": r.model, "variant": r.variant, "value": r.value, "source": r.source, "status": r.status, "use": r.use}
        for r in references_of(evidence.study, task)
        if r.metric == metric and r.model.startswith(model) and r.use != "anchor"
    ]


def _climbed(evidence: Evidence, task: str, rungs: Sequence[Rung], fraction: float) -> dict[str, Any]:
    """Where the first rung reaches, that rung and the steps between it and the longest shorter one of its ladder."""
    nearest = max(rungs, key=lambda rung: rung.share.point)
    reached = [rung for rung in rungs if rung.share.point >= fraction]
    found: dict[str, Any] = {"nearest": _rung(evidence, nearest, fraction)}
    if not reached:
        missing = _missing(evidence, task)
        return found | {"status": "not yet" if missing else "not reached"}
    first = min(reached, key=lambda rung: (rung.steps, -rung.share.point))
    shorter = [rung.steps for rung in rungs if rung.steps < first.steps and _same_recipe(rung, first)]
    return found | {
        "status": "reached",
        "reached_by": _rung(evidence, first, fraction),
        "steps_between": [max(shorter, default=0), first.steps],
    }


def _same_recipe(one: Rung, other: Rung) -> bool:
    mixtures = [[(leg.kind, dict(leg.mixture)) for leg in rung.experiment.legs] for rung in (one, other)]
    return mixtures[0] == mixtures[1] and one.experiment.start_from == other.experiment.start_from


def _rungs(evidence: Evidence, task: str, floor: float, figure: float) -> list[Rung]:
    """Every trained experiment with a score on the task, controls among them, shortest first."""
    rungs = []
    for planned in evidence.whole.experiments:
        value = evidence.value(planned.experiment.id, task) if planned.experiment.legs else None
        if value is not None:
            shifted = Resampled(value.point - floor, value.draws - floor, value.changes)
            steps = recipe_steps(evidence.study, planned.experiment)
            rungs.append(Rung(planned.experiment, steps, shifted * (1 / (figure - floor))))
    return sorted(rungs, key=lambda rung: (rung.steps, rung.experiment.id))


def _rung(evidence: Evidence, rung: Rung, fraction: float) -> dict[str, Any]:
    interval = rung.share.interval()
    return {
        "experiment": rung.experiment.id,
        "steps": rung.steps,
        "gpu_hours": recipe_hours(evidence.plan, rung.experiment),
        "rows_seen": rows_seen(evidence, rung.experiment),
        "share": rung.share.point,
        "low": interval.low,
        "high": interval.high,
        "clear": interval.low >= fraction,
    }


def rows_seen(evidence: Evidence, experiment: Experiment) -> float | None:
    """Rows drawn over the recipe's own legs, repeats counted: epochs times each source's rows; None if not recorded."""
    planned = evidence.planned(experiment.id)
    total = 0.0
    for name in planned.ends if planned else ():
        stage, outcome = evidence.whole.stages[name], evidence.outcomes.get(name)
        if outcome is None or not isinstance(stage, TrainSpec):
            return None
        for source, epochs in outcome.facts.get("epochs", {}).items():
            rows = _rows_of(evidence, stage, source)
            if rows is None:
                return None
            total += epochs * rows
    return total or None


def _rows_of(evidence: Evidence, stage: TrainSpec, source: str) -> int | None:
    for name in stage.leg.sources.values():
        spec, outcome = evidence.whole.stages.get(name), evidence.outcomes.get(name)
        if isinstance(spec, PrepareSpec) and spec.source_name == source and outcome is not None:
            return outcome.facts.get("examples", outcome.facts.get("rows"))
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
    full = evidence.study.track("full") if "full" in evidence.study.tracks else evidence.study.experiments
    return [e.id for e in full if e.legs and evidence.state(e.id, task) == "missing"]


def _anchor(anchor: Anchor) -> dict[str, Any] | None:
    if anchor.reference is None:
        return {"value": None, "low": anchor.low, "high": anchor.high} if anchor.low is not None else None
    reference = anchor.reference
    return {
        "value": reference.value,
        "model": reference.model,
        "metric": reference.metric,
        "n": reference.n,
        "protocol": reference.protocol,
        "source": reference.source,
        "url": reference.url,
        "rows": reference.rows,
    }


def by_thresholds(entries: Sequence[dict[str, Any]], rule: ThresholdRule, relative: Relative) -> tuple[Verdict, str]:
    """Yes: every identifiable task reached, with the interval above the line; no: none reached; else mixed."""
    asked = [entry for entry in entries if entry["status"] != "not identifiable"]
    left = [entry["task"] for entry in entries if entry["status"] == "not identifiable"]
    without = f" Not identifiable: {', '.join(left)}." if left else ""
    if not asked:
        reasons = "; ".join(dict.fromkeys(str(entry["note"]) for entry in entries))
        return "not identifiable", f"Not identifiable: no task has a {rule.anchor} figure to compare with ({reasons})."
    lacking = [item for item in relative.lacking() if item.rpartition(" on ")[2] in {entry["task"] for entry in asked}]
    if lacking or any(entry["status"] == "not yet" for entry in asked):
        first = lacking[0] if lacking else next(str(e["note"]) for e in asked if e["status"] == "not yet")
        return "not yet", f"Not yet: what the threshold rests on is missing ({first}).{without}"
    told = " ".join(_told(relative.evidence, entry, rule) for entry in asked)
    reached = [entry for entry in asked if entry["status"] == "reached"]
    if len(reached) == len(asked) and all(entry["reached_by"]["clear"] for entry in reached):
        return "yes", f"Yes: {told}{without}"
    return ("mixed", f"Mixed: {told}{without}") if reached else ("no", f"No: {told}{without}")


def _told(evidence: Evidence, entry: dict[str, Any], rule: ThresholdRule) -> str:
    rung = entry["reached_by"] or entry["nearest"]
    scores = evidence.scores(entry["task"])
    items = scores.items if scores else 0
    share = f"{rung['share']:.2f} of the way ({rung['low']:.2f} to {rung['high']:.2f}, n = {items})"
    remark = f" [{rule.anchor}: {entry['note']}]" if entry["note"] else ""
    if entry["reached_by"] is None:
        return f"{entry['task']} not reached: at most {share}, by {rung['experiment']}{remark}."
    low, high = entry["steps_between"]
    doubt = "" if rung["clear"] else f"; the interval reaches below {rule.fraction:g}"
    return (
        f"{entry['task']} reached by {rung['experiment']} after more than {low:,} and at most {high:,} steps "
        f"({rung['gpu_hours']:.2f} GPU-hours): {share}{doubt}{remark}."
    )
