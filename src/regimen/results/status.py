"""Where a run stands: markers on disk first, the ledger for what only it knows.

Owns the document that `regimen status --json` prints. Reads, never writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from regimen.errors import RunFolderError
from regimen.plan import Plan
from regimen.results import layout
from regimen.results.hours import actual_gantt, hours_of
from regimen.results.ledger import read_ledger
from regimen.results.outcomes import Outcome
from regimen.results.run_folder import RunFolder

LOG_LINES = 5
STATES = ("done", "running", "failed", "pending")
LedgerRows = dict[str, dict[str, Any]]


def run_status(folder: RunFolder, plan: Plan) -> dict[str, Any]:
    """Experiments and stages by state, hours spent, planned and left, failures with the end of their logs.

    "eta_hours" is the wall clock left while the run is alive, over the workers that are busy now; else None.
    """
    ledger = read_ledger(folder.path)
    alive = folder.is_locked()
    contents = folder.read(plan)
    outcomes, damaged = contents.outcomes, contents.damaged
    states = {name: _state(name, outcomes, damaged, ledger, alive) for name in plan.stages}
    hours = hours_of(plan, outcomes)
    busy = len({row["worker"] for name, row in ledger.items() if states.get(name) == "running"})
    failures = _failures(folder, plan, ledger, states, damaged)
    status = {
        "experiments": _counted(_experiment_state([states[s] for s in p.stages]) for p in plan.experiments),
        "stages": _counted(states.values()),
        "gpu_hours": {key: hours[key] for key in ("spent", "planned", "left", "by_phase", "by_experiment")},
        "rate": hours["rate"],
        "eta_hours": round(hours["left"] / busy, 6) if busy else None,
        "running": _running(plan, ledger, states),
        "failures": failures,
        "alive": alive,
        "gantt": actual_gantt(plan, outcomes),
    }
    return status | {"next": _next(folder, plan, status)}


def _state(name: str, outcomes: dict[str, Outcome], damaged: dict[str, str], ledger: LedgerRows, alive: bool) -> str:
    if name in outcomes:
        return "done"
    known = ledger.get(name, {}).get("state", "pending")
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


def _running(plan: Plan, ledger: LedgerRows, states: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"stage": plan.stages[name].label, "kind": plan.stages[name].kind, "worker": ledger[name]["worker"]}
        for name, state in states.items()
        if state == "running"
    ]


def _failures(
    folder: RunFolder, plan: Plan, ledger: LedgerRows, states: dict[str, str], damaged: dict[str, str]
) -> list[dict[str, Any]]:
    """The stages that failed themselves (not those that only need one), in the order in which they did."""
    failed = [
        (ledger.get(name, {}).get("ended") or 0.0, name)
        for name, state in states.items()
        if state == "failed" and (name in damaged or ledger.get(name, {}).get("state") == "failed")
    ]
    needs = {name: planned.experiment.id for planned in reversed(plan.experiments) for name in planned.stages}
    failures = []
    for _, name in sorted(failed):
        stage = plan.stages[name]
        log = folder.folder(stage).path / layout.LOG
        failures.append(
            {
                "experiment": needs.get(name, stage.label),
                "stage": folder.folder(stage).path.name,
                "error": damaged.get(name) or ledger[name].get("error") or "",
                "log": str(log),
                "last_lines": _tail(log),
            }
        )
    return failures


def _tail(log: Path) -> list[str]:
    """The end of a log: its last lines, a traceback by its last lines."""
    if not log.is_file():
        return []
    messages = [_message(line) for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    return [line for text in messages for line in text.splitlines()][-LOG_LINES:]


def _message(line: str) -> str:
    try:
        value = json.loads(line)
        return str(value.get("detail") or value.get("event", line))
    except (ValueError, AttributeError):  # cut short by a full disk
        return line


def _next(folder: RunFolder, plan: Plan, status: dict[str, Any]) -> str:
    """The command to type next."""
    out = folder.path
    stages = status["stages"]
    if status["alive"]:
        return f"regimen status {out} --watch"
    if stages["pending"] or stages["failed"]:
        try:
            command = folder.settings().get("command")
        except RunFolderError:
            command = None
        default = f"regimen run {plan.study.study} --profile {plan.study.profile} --track {plan.track} --out {out}"
        return command or default
    gate = plan.study.gate
    return f"regimen gate {out}" if gate and gate.track == plan.track else f"regimen report {out}"
