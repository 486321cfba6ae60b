"""The decision after the fast track: is the whole plan promising?

Owns the rule of `study.gate` - its contrasts, the way from zero-shot to the trained TF-IDF line - and what the
evidence says should be adjusted where it is not. Reads tables only; does not know what is done with the decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from regimen.analysis.advice import adjustments
from regimen.analysis.declared_contrasts import Judged, evidence_words, judge_contrasts
from regimen.analysis.evidence import Evidence
from regimen.analysis.rules import Rules
from regimen.results.floors import floors_of
from regimen.results.tables import RunTables
from regimen.study import ZERO_SHOT, Contrast, Experiment, Gate, Pair


@dataclass(frozen=True)
class Way:
    """How far on one task an experiment came from zero-shot to the target, and what the target is."""

    task: str
    gain: float
    target: float
    what: str


def gate_decision(tables: RunTables, rules: Rules | None = None) -> dict[str, Any]:
    """{"decision": "promising|not promising|not yet", "rule", "evidence", "next", "adjust"}; JSON-ready.

    A pure function of the tables. "not yet" while any experiment, task or TF-IDF line that the rule rests on is
    missing. `next` is one sentence; `adjust` lists what to change, each with its evidence.
    """
    return gate_of(Evidence(tables, rules))


def gate_of(evidence: Evidence) -> dict[str, Any]:
    """The decision from evidence that is loaded already."""
    gate = evidence.study.gate
    if gate is None:
        return _decided("not yet", "the study has no gate", [], "Add a gate to the study.")
    rule = rule_words(gate)
    candidates = [e for e in evidence.study.track(gate.track) if e.kind == "finetune"]
    tested = list(judge_contrasts(evidence, [_own_tasks(evidence, e) for e in candidates]).values())
    shown = [_evidence(one) for one in tested]
    missing = [one for one in tested if one.status == "not yet"]
    winners = [one for one in tested if one.direction == "better"]
    ways = {e.id: _ways(evidence, e, gate.group) for e in candidates}
    gains = {name: _mean([way.gain for way in found]) for name, found in ways.items() if isinstance(found, list)}
    lacking = next((found for found in ways.values() if isinstance(found, str)), None)
    won = {one.contrast.id.removeprefix("gate:") for one in winners}
    best = max(sorted(won & gains.keys()) or sorted(gains), key=lambda name: gains[name], default=None)
    if best is not None:
        found = ways[best]
        assert isinstance(found, list)
        shown.append(_best_evidence(best, gains[best], found, gate))
    if missing or lacking is not None:
        why = missing[0].note if missing else lacking
        return _decided("not yet", rule, shown, f"Run what is missing ({why}), then ask again.")
    if len(winners) >= gate.winners and best is not None and gains[best] >= gate.gain:
        return _decided("promising", rule, shown, "Run the full track; what is done is reused.")
    advice = adjustments(evidence, [e.id for e in candidates])
    steps = "; ".join(item["what"] for item in advice) or "nothing in the evidence says what to change"
    return _decided("not promising", rule, shown, f"Adjust before the full track: {steps}.", advice)


def rule_words(gate: Gate) -> str:
    """The rule as a sentence."""
    return (
        f"Promising if at least {gate.winners} of the fine-tuned experiments of the {gate.track} track beat zero-shot "
        f"on their own tasks (Holm over all of them, 5%), and the mean relative gain of the best of these over the "
        f"{gate.group} tasks is at least {gate.gain:g} of the way from zero-shot to the trained TF-IDF line (to 1 "
        "where that line is lower than zero-shot or does not apply)."
    )


def _decided(
    decision: str, rule: str, shown: Sequence[Any], following: str, advice: Sequence[Any] = ()
) -> dict[str, Any]:
    return {
        "decision": decision,
        "rule": rule,
        "evidence": list(shown),
        "next": following,
        "adjust": list(advice),
    }


def own_tasks(evidence: Evidence, experiment: Experiment) -> list[str]:
    """The tasks scored on held-out rows of what the experiment was fine-tuned on; main ones, and others' own."""
    tuned = {source for leg in experiment.legs if leg.kind == "finetune" for source in leg.mixture}
    tasks = evidence.study.tasks
    return [name for name, task in tasks.items() if task.panel != "text" and tuned & set(task.source)]


def _own_tasks(evidence: Evidence, experiment: Experiment) -> Contrast:
    pairs = [Pair(of=experiment.id, against=ZERO_SHOT, task=task) for task in own_tasks(evidence, experiment)]
    note = "" if pairs else "no task is scored on rows of what it was trained on"
    title = f"{experiment.id} against zero-shot on its own tasks"
    return Contrast(id=f"gate:{experiment.id}", title=title, group="gate", pairs=tuple(pairs), note=note)


def _evidence(tested: Judged) -> dict[str, Any]:
    found = tested.comparison
    kept: dict[str, Any] = {
        "kind": "beats zero-shot",
        "experiment": tested.contrast.id.removeprefix("gate:"),
        "tasks": [pair.task for pair in tested.contrast.pairs],
        "holds": tested.direction == "better",
        "status": tested.status,
    }
    if found is None:
        return kept | {"statement": f"{tested.contrast.title}: {tested.status} ({tested.note})."}
    words = f"{tested.contrast.title}: {found.statement()}; {evidence_words(found)}."
    return kept | {
        "estimate": found.estimate,
        "low": found.low,
        "high": found.high,
        "n": {"items": found.items, "clusters": found.clusters},
        "p": found.p,
        "p_adjusted": found.p_adjusted,
        "test": found.test,
        "mde": found.mde,
        "statement": words,
    }


def _best_evidence(name: str, gain: float, ways: Sequence[Way], gate: Gate) -> dict[str, Any]:
    parts = ", ".join(f"{way.task} {way.gain:+.2f} of the way to {way.what} ({way.target:.3f})" for way in ways)
    return {
        "kind": "relative gain",
        "experiment": name,
        "value": gain,
        "at_least": gate.gain,
        "holds": gain >= gate.gain,
        "tasks": [{"task": w.task, "gain": w.gain, "target": w.target, "to": w.what} for w in ways],
        "statement": f"Best mean relative gain over the {gate.group} tasks: {gain:.3f} by {name} ({parts}).",
    }


def _ways(evidence: Evidence, experiment: Experiment, group: str) -> list[Way] | str:
    """The ways on the group's tasks, or what is missing."""
    ways = []
    for name, task in evidence.study.panel("main").items():
        if task.group != group:
            continue
        pair = Pair(of=experiment.id, against=ZERO_SHOT, task=name)
        state = evidence.pair_state(pair)
        if state == "skipped":
            continue
        if state == "missing":
            return ", ".join(evidence.lacking([pair]))
        target = _target(evidence, name)
        if isinstance(target, str):
            return target
        ways.append(_way(evidence, experiment.id, name, *target))
    return ways or f"no {group} task was evaluated"


def _way(evidence: Evidence, experiment: str, task: str, target: float, what: str) -> Way:
    zero, score = evidence.value(ZERO_SHOT, task), evidence.value(experiment, task)
    assert zero is not None
    assert score is not None
    if target <= zero.point:
        target, what = 1.0, "1"
    return Way(task, (score.point - zero.point) / (target - zero.point) if target > zero.point else 0.0, target, what)


def _target(evidence: Evidence, task: str) -> tuple[float, str] | str:
    """The trained TF-IDF line of a task; 1 where the task is open; or what is missing of it."""
    if evidence.study.tasks[task].scoring != "choice":
        return 1.0, "1"
    floors = floors_of(evidence.plan, evidence.tables.outcomes, task)
    headline = evidence.study.tasks[task].headline
    if floors is None or headline not in floors.tfidf:
        reason = f" ({floors.note})" if floors is not None and floors.note else ""
        return f"the TF-IDF line of {task}{reason}"
    return floors.tfidf[headline], "the TF-IDF line"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
