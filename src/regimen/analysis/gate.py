"""The decision after the fast track: is the whole plan promising?

Owns the rule of `study.gate` - its contrasts, the way from zero-shot to the trained TF-IDF line - and the changes to
try where the plan is not promising. Reads tables only; does not know what is done with the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from regimen.analysis.advice import Adjustment, adjustments
from regimen.analysis.choices import Choices, ChosenOn, chosen_words
from regimen.analysis.declared_contrasts import JudgedContrast, in_runs, judge_contrasts
from regimen.analysis.evidence import Evidence
from regimen.analysis.over_runs import first_runs, run_names, score_over_runs
from regimen.analysis.rules import Rules
from regimen.results.floors import floors_of
from regimen.results.tables import RunTables
from regimen.study import ZERO_SHOT, Contrast, EndPoint, Experiment, Gate, Pair

Decision = Literal["promising", "not promising", "not yet"]


@dataclass(frozen=True)
class Way:
    """An experiment's way on one task from zero-shot to the target; `to` names the target."""

    task: str
    gain: float
    target: float
    to: str


@dataclass(frozen=True)
class Win:
    """The test that a fine-tuned experiment beats zero-shot on its own tasks."""

    experiment: str
    contrast: JudgedContrast

    @property
    def holds(self) -> bool:
        """True if it is clearly better."""
        return self.contrast.outcome == "better"

    @property
    def statement(self) -> str:
        """One sentence with its numbers."""
        return self.contrast.statement

    def record(self) -> dict[str, object]:
        """As findings.json holds it; the numbers are left out where it was not tested."""
        found = self.contrast.comparison
        return {
            "kind": "beats zero-shot",
            "experiment": self.experiment,
            "tasks": [pair.task for pair in self.contrast.contrast.pairs],
            "holds": self.holds,
            "status": self.contrast.status,
            **(found.record() if found else {}),
            "statement": self.statement,
        }


@dataclass(frozen=True)
class BestGain:
    """The mean relative gain of the best fine-tuned experiment, what chose it, and the least that the rule asks for."""

    kind: Literal["relative gain"]
    experiment: str
    value: float
    at_least: float
    holds: bool
    tasks: Sequence[Way]
    chosen_on: ChosenOn
    statement: str


@dataclass(frozen=True)
class GateDecision:
    """The decision, its rule and numbers, the next thing to do in one sentence, and changes to try."""

    decision: Decision
    rule: str
    evidence: Sequence[Win | BestGain]
    next: str
    adjust: Sequence[Adjustment] = ()


def gate_decision(tables: RunTables, rules: Rules | None = None) -> GateDecision:
    """The decision by the study's rule, a pure function of the tables.

    "not yet" while any experiment, task or TF-IDF line that the rule rests on is missing.
    """
    return gate_of(Evidence(tables, rules))


def gate_of(evidence: Evidence) -> GateDecision:
    """The decision from evidence that is loaded already."""
    gate = evidence.study.gate
    if gate is None:
        return GateDecision("not yet", "the study has no gate", [], "Add a gate to the study.")
    rule = rule_words(gate, evidence.rules.alpha)
    tuned = [e.id for e in evidence.study.track(gate.track) if e.kind == "finetune"]
    candidates = [evidence.study.experiment(name) for name in first_runs(evidence, tuned)]
    judged = judge_contrasts(evidence, [_own_tasks(evidence, e) for e in candidates])
    wins = [Win(e.id, one) for e, one in zip(candidates, judged.values(), strict=True)]
    ways = {e.id: _ways(evidence, e, gate.group) for e in candidates}
    gains = {name: _mean([way.gain for way in found]) for name, found in ways.items() if not isinstance(found, str)}
    won = {win.experiment for win in wins if win.holds}
    choices = Choices(evidence)
    best, on = _best(choices, evidence, gate, sorted(won & gains.keys()) or sorted(gains), gains)
    shown: list[Win | BestGain] = [*wins]
    if best is not None:
        own = [way for way in ways[best] if isinstance(way, Way)]
        runs = len(run_names(evidence, best, [way.task for way in own]))
        shown.append(_best_gain(best, gains[best], own, gate, runs, on))
    if lacking := _lacking(wins, ways.values()):
        return GateDecision("not yet", rule, shown, f"Run what is missing ({lacking}), then ask again.")
    if len(won) >= gate.winners and best is not None and gains[best] >= gate.gain:
        return GateDecision("promising", rule, shown, _onwards(evidence))
    advice = adjustments(evidence, [e.id for e in candidates], by_test_items=not choices.any)
    steps = "; ".join(item.what for item in advice) or "nothing in the evidence says what to change"
    why = f" (read off training traces{'' if choices.any else ' and test items'})" if advice else ""
    return GateDecision("not promising", rule, shown, f"Adjust before the full track: {steps}{why}.", advice)


def _onwards(evidence: Evidence) -> str:
    """What follows a promising fast track."""
    full = {experiment.id for experiment in evidence.study.full_track}
    planned = {planned.experiment.id for planned in evidence.tables.plan.experiments}
    if full <= planned and not evidence.tables.missing_cells():
        return "The full track is done: its answers stand in the report."
    return "Run the full track; what is done is reused."


def _lacking(wins: Sequence[Win], ways: Iterable[list[Way] | str]) -> str | None:
    """The first thing that the decision waits for."""
    notes = [win.contrast.note for win in wins if win.contrast.status == "not yet"]
    return next(iter([*notes, *(found for found in ways if isinstance(found, str))]), None)


def rule_words(gate: Gate, alpha: float) -> str:
    """The rule as a sentence."""
    return (
        f"Promising if at least {gate.winners} of the fine-tuned experiments of the {gate.track} track beat zero-shot "
        f"on their own tasks (Holm over all of them, {100 * alpha:g}%), and the mean relative gain of the best of "
        f"these over the {gate.group} tasks is at least {gate.gain:g} of the way from zero-shot to the trained TF-IDF "
        "line (to 1 where that line is lower than zero-shot or does not apply)."
    )


def own_tasks(evidence: Evidence, experiment: Experiment) -> list[str]:
    """The tasks scored on held-out rows of what the experiment was fine-tuned on; main ones, and others' own."""
    tuned = {source for leg in experiment.legs if leg.kind == "finetune" for source in leg.mixture}
    tasks = evidence.study.tasks
    return [name for name, task in tasks.items() if task.panel != "text" and tuned & set(task.source)]


def _own_tasks(evidence: Evidence, experiment: Experiment) -> Contrast:
    pairs = [
        Pair(of=EndPoint(experiment.id), against=EndPoint.base(), task=task) for task in own_tasks(evidence, experiment)
    ]
    note = "" if pairs else "no task is scored on rows of what it was trained on"
    title = f"{experiment.id} against zero-shot on its own tasks"
    return Contrast(id=f"gate:{experiment.id}", title=title, group="gate", pairs=tuple(pairs), note=note)


def _best(
    choices: Choices, evidence: Evidence, gate: Gate, names: Sequence[str], gains: Mapping[str, float]
) -> tuple[str | None, ChosenOn]:
    """The best of some experiments over the group's tasks; by test items where validation rows cannot choose."""
    main = evidence.study.panel("main")
    tasks = [task for task, shape in main.items() if shape.group == gate.group
             and evidence.state(ZERO_SHOT, task) != "skipped"]  # fmt: skip
    best, on = choices.best(tasks, names, lambda name: gains[name])
    return (best, on) if best is not None else (max(names, key=lambda name: gains[name], default=None), "test items")


def _best_gain(name: str, gain: float, ways: Sequence[Way], gate: Gate, runs: int, on: ChosenOn) -> BestGain:
    parts = ", ".join(f"{way.task} {way.gain:+.2f} of the way to {way.to} ({way.target:.3f})" for way in ways)
    words = (
        f"{in_runs(runs)}the best mean relative gain over the {gate.group} tasks is {gain:.3f} by {name} ({parts}); "
        f"{chosen_words(on)}."
    )
    return BestGain("relative gain", name, gain, gate.gain, gain >= gate.gain, ways, on, words)


def _ways(evidence: Evidence, experiment: Experiment, group: str) -> list[Way] | str:
    """The ways on the group's tasks, or what is missing."""
    ways = []
    for name, task in evidence.study.panel("main").items():
        if task.group != group:
            continue
        pair = Pair(of=EndPoint(experiment.id), against=EndPoint.base(), task=name)
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
    zero, over = evidence.value(ZERO_SHOT, task), score_over_runs(evidence, experiment, task)
    assert zero is not None
    assert over is not None
    score = over.number
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
