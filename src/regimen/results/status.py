"""The status of a run: from the markers on disk, and from the ledger where they say nothing.

Owns the document that `regimen status --json` prints. Reads, never writes.
"""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NotRequired, TypedDict

from regimen.errors import RunFolderError
from regimen.plan import Plan, TrainSpec
from regimen.results import layout
from regimen.results.hours import Bar, StepRate, actual_gantt, hours_of
from regimen.results.ledger import LedgerRow, read_ledger
from regimen.results.outcomes import Outcome
from regimen.results.run_folder import RunFolder

LOG_LINES = 5
STATES = ("done", "running", "failed", "pending")
LedgerRows = dict[str, LedgerRow]


class RunningStage(TypedDict):
    """A stage that a worker carries out now."""

    stage: str
    kind: str
    worker: str | None
    validation: NotRequired[ValidationLook]


class ValidationLook(TypedDict):
    """The last look at a training on validation rows: see `facts.ValidationPoint`."""

    step: int
    loss: float | None
    scores: dict[str, float | None]


class FailedStage(TypedDict):
    """A stage that failed, the first experiment that needs it, and the last lines of its log."""

    experiment: str
    stage: str
    error: str
    log: str
    last_lines: list[str]


class SpentHours(TypedDict):
    """GPU-hours: see `hours.Hours`."""

    spent: float
    planned: float
    left: float
    by_phase: dict[str, dict[str, float]]
    by_experiment: dict[str, float]


class Status(TypedDict):
    """The document of `regimen status --json`.

    `eta_hours` is the wall clock left while the run is alive, over the workers that are busy now; else None. `next` is
    the command to type next.
    """

    experiments: dict[str, int]
    stages: dict[str, int]
    gpu_hours: SpentHours
    rate: StepRate
    eta_hours: float | None
    running: list[RunningStage]
    failures: list[FailedStage]
    alive: bool
    gantt: list[Bar]
    next: str


def run_status(folder: RunFolder, plan: Plan) -> Status:
    """Experiments and stages by state, hours spent, planned and left, failures with the end of their logs."""
    ledger = read_ledger(folder.path)
    alive = folder.is_locked()
    results = folder.read(plan)
    outcomes, damaged = results.outcomes, results.damaged
    states = {name: _state(name, outcomes, damaged, ledger, alive) for name in plan.stages}
    hours = hours_of(plan, outcomes)
    busy = len({row["worker"] for name, row in ledger.items() if states.get(name) == "running"})
    stages = _counted(states.values())
    return {
        "experiments": _counted(_experiment_state([states[s] for s in p.stages]) for p in plan.experiments),
        "stages": stages,
        "gpu_hours": {
            "spent": hours["spent"],
            "planned": hours["planned"],
            "left": hours["left"],
            "by_phase": hours["by_phase"],
            "by_experiment": hours["by_experiment"],
        },
        "rate": hours["rate"],
        "eta_hours": round(hours["left"] / busy, 6) if busy else None,
        "running": _running(folder, plan, ledger, states),
        "failures": _failures(folder, plan, ledger, states, damaged),
        "alive": alive,
        "gantt": actual_gantt(plan, outcomes),
        "next": _next(folder, plan, stages, alive),
    }


def _state(name: str, outcomes: dict[str, Outcome], damaged: dict[str, str], ledger: LedgerRows, alive: bool) -> str:
    if name in outcomes:
        return "done"
    known = ledger[name]["state"] if name in ledger else "pending"
    if name in damaged or known in ("failed", "blocked"):
        return "failed"
    return "running" if known == "running" and alive else "pending"


def _experiment_state(states: list[str]) -> str:
    for state in ("failed", "running", "pending"):
        if state in states:
            return state
    return "done"


def _counted(states: Iterable[str]) -> dict[str, int]:
    counts = Counter(states)
    return {state: counts[state] for state in STATES}


def _running(folder: RunFolder, plan: Plan, ledger: LedgerRows, states: dict[str, str]) -> list[RunningStage]:
    running: list[RunningStage] = []
    for name in [name for name, state in states.items() if state == "running"]:
        stage = plan.stages[name]
        one = RunningStage(stage=stage.label, kind=stage.kind, worker=ledger[name]["worker"])
        if isinstance(stage, TrainSpec) and stage.leg.validation and (look := _last_look(folder.folder(stage).path)):
            one["validation"] = look
        running.append(one)
    return running


def _last_look(path: Path) -> ValidationLook | None:
    """The last look that a stage's log tells of."""
    try:
        lines = (path / layout.LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        with suppress(ValueError, KeyError, AttributeError):
            entry = json.loads(line)
            if entry.get("event") == "validated":
                return {"step": entry["step"], "loss": entry["loss"], "scores": entry["scores"]}
    return None


def _failures(
    folder: RunFolder, plan: Plan, ledger: LedgerRows, states: dict[str, str], damaged: dict[str, str]
) -> list[FailedStage]:
    """The stages that failed themselves (not those that only need one), in the order in which they did."""
    failed = [
        ((ledger[name]["ended"] if name in ledger else None) or 0.0, name)
        for name, state in states.items()
        if state == "failed" and (name in damaged or (name in ledger and ledger[name]["state"] == "failed"))
    ]
    needs = {name: planned.experiment.id for planned in reversed(plan.experiments) for name in planned.stages}
    failures: list[FailedStage] = []
    for _, name in sorted(failed):
        stage = plan.stages[name]
        log = folder.folder(stage).path / layout.LOG
        failures.append(
            {
                "experiment": needs.get(name, stage.label),
                "stage": folder.folder(stage).path.name,
                "error": damaged.get(name) or ledger[name]["error"] or "",
                "log": str(log),
                "last_lines": _tail(log),
            }
        )
    return failures


def _tail(log: Path) -> list[str]:
    """The last lines of a log; a traceback counts as several."""
    if not log.is_file():
        return []
    details = [_detail(line) for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return [line for text in details for line in text.splitlines()][-LOG_LINES:]


def _detail(line: str) -> str:
    try:
        value = json.loads(line)
        return str(value.get("detail") or value.get("event", line))
    except (ValueError, AttributeError):  # cut short by a full disk
        return line


def _into(command: str, out: Path) -> str:
    """A recorded command with this folder as its --out: the folder may be a copy, or be looked at from elsewhere."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    for place, word in enumerate(words):
        option, _, joined = word.partition("=")
        value = joined or (words[place + 1] if place + 1 < len(words) else "")
        if option == "--out" and value and Path(value).resolve() != out.resolve():
            words[place : place + (1 if joined else 2)] = [f"--out={out}"] if joined else ["--out", str(out)]
    return shlex.join(words)


def _next(folder: RunFolder, plan: Plan, stages: dict[str, int], alive: bool) -> str:
    """The command to type next."""
    out = folder.path
    if alive:
        return f"regimen status {out} --watch"
    if stages["pending"] or stages["failed"]:
        try:
            command = folder.settings().get("command")
        except RunFolderError:
            command = None
        default = f"regimen run {plan.study.study} --profile {plan.study.profile} --track {plan.track} --out {out}"
        return _into(command, out) if isinstance(command, str) and command else default
    gate = plan.study.gate
    return f"regimen gate {out}" if gate and gate.track == plan.track else f"regimen report {out}"
