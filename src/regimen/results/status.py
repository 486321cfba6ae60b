"""Where a run stands: markers on disk first, the ledger for what only it knows.

Owns the document that `regimen status --json` prints. Reads, never writes.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from regimen.plan import Plan, TrainSpec
from regimen.results.ledger import read_ledger
from regimen.results.run_folder import RunFolder

LOG_LINES = 5


def run_status(folder: RunFolder, plan: Plan) -> dict[str, Any]:
    """Experiments and stages by state, hours spent, planned and left, failures with the end of their logs."""
    ledger = read_ledger(folder.path)
    alive = folder.is_locked()
    states: dict[str, str] = {}
    seconds = steps_done = 0.0
    for name, stage in plan.stages.items():
        outcome = folder.outcome(stage)
        known = ledger.get(name, {}).get("state", "pending")
        if outcome is not None:
            states[name] = "done"
            seconds += outcome.seconds / max(1, outcome.where.get("cohort", 1))
            steps_done += stage.steps if isinstance(stage, TrainSpec) else 0
        elif known in ("failed", "blocked"):
            states[name] = "failed"
        else:
            states[name] = "running" if known == "running" and alive else "pending"
    planned = plan.totals["gpu_hours_to_run"]
    share = steps_done / plan.steps_to_run if plan.steps_to_run else float(_all_done(states))
    return {
        "experiments": _counted(_experiment_state([states[s] for s in p.stages]) for p in plan.experiments),
        "stages": _counted(states.values()),
        "gpu_hours": {
            "spent": round(seconds / 3600, 6),
            "planned": planned,
            "left": round(planned * (1 - share), 6),
        },
        "failures": _failures(folder, plan, ledger, states),
        "alive": alive,
    }


def _all_done(states: dict[str, str]) -> bool:
    return all(state == "done" for state in states.values())


def _experiment_state(states: list[str]) -> str:
    for state in ("failed", "running", "pending"):
        if state in states:
            return "running" if state == "pending" and "done" in states and "running" in states else state
    return "done"


def _counted(states: Any) -> dict[str, int]:
    counts = Counter(states)
    return {state: counts[state] for state in ("done", "running", "failed", "pending")}


def _failures(
    folder: RunFolder, plan: Plan, ledger: dict[str, dict[str, Any]], states: dict[str, str]
) -> list[dict[str, Any]]:
    failures = []
    for name, stage in plan.stages.items():
        if states[name] != "failed" or ledger.get(name, {}).get("state") != "failed":
            continue
        log = folder.folder(stage).path / "log.jsonl"
        experiment = next((p.experiment.id for p in plan.experiments if name in p.stages), stage.label)
        failures.append(
            {
                "experiment": experiment,
                "stage": stage.folder,
                "error": ledger[name].get("error") or "",
                "log": str(log),
                "last_lines": _tail(log),
            }
        )
    return failures


def _tail(log: Path) -> list[str]:
    if not log.is_file():
        return []
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    return [str(json.loads(line).get("detail", line)) if line.startswith("{") else line for line in lines]
