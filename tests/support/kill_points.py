"""The named points of the kill matrix, and how a run is told to die at them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

KILLING = Path(__file__).parent / "killing"

# Before each event the victim dies; the stages differ, so that no job dies too often. "self" is the worker, or for
# the report the driver.
POINTS: dict[str, dict[str, Any]] = {
    "before the first step": {"event": "open", "path": "*/train-*-trunk-*/log.jsonl"},
    "in the middle of a step": {"event": "os.rename", "path": "*/train-*-trunk-*/checkpoint-*", "delay": 0.03},
    "between temp write and rename": {"event": "os.rename", "path": "*/train-*-cooldown-*/checkpoint-*"},
    "between adapter and marker": {"event": "os.link", "path": "*/train-*-cooldown-*/DONE"},
    "between marker and ledger": {"event": "open", "path": "*/items-*/log.jsonl", "beside": "DONE"},
    "during evaluation": {"event": "os.rename", "path": "*/evaluate-*/items.parquet"},
    "during the report": {"event": "os.rename", "path": "*/report/index.html"},  # by then there are no workers
}

# Where a worker that is told to end has still something to do.
BEGINNINGS: dict[str, dict[str, Any]] = {
    "at the first checkpoint": {"event": "os.rename", "path": "*/train-*-trunk-*/checkpoint-*"},
    "at the start of an evaluation": {"event": "open", "path": "*/evaluate-*/log.jsonl"},
}

# Where a learning rate is being chosen.
CHOICES: dict[str, dict[str, Any]] = {
    "in the middle of a rung": {"event": "os.rename", "path": "*/train-*-tune-*-trunk-*/checkpoint-*", "delay": 0.03},
    "between looks": {"event": "os.rename", "path": "*/train-*-tune-*-cooldown-*/metrics.jsonl"},
    "before a choice": {"event": "os.link", "path": "*/choose-*/DONE"},
    "after a choice": {"event": "os.rename", "path": "*/train-reviews-trunk-*/checkpoint-*"},
}


def plan_kills(folder: Path, victim: str, names: list[str], number: int = signal.SIGKILL) -> dict[str, str]:
    """The environment of a run in which `victim` dies at each of the named points, once."""
    folder.mkdir(parents=True)
    points = [
        {"name": name.replace(" ", "-"), "victim": victim, "signal": number, **(POINTS | BEGINNINGS | CHOICES)[name]}
        for name in names
    ]
    file = folder / "kills.json"
    file.write_text(json.dumps(points))
    before = os.environ.get("PYTHONPATH", "")
    return {"REGIMEN_TEST_KILLS": str(file), "PYTHONPATH": os.pathsep.join(filter(None, [str(KILLING), before]))}


def hits(folder: Path) -> set[str]:
    """The points that were hit."""
    return {path.name.removeprefix("kills.json.").replace("-", " ") for path in folder.glob("kills.json.*")}
