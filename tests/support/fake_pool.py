"""A pool that carries jobs out in this process, for tests of the scheduler alone.

Each stage is "done" by committing an empty outcome; `script` may say otherwise for a stage.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from regimen.execution.pool import Event, Job
from regimen.execution.scheduler import Scheduler
from regimen.plan import Plan, parse_spec
from regimen.results import Ledger, Outcome, RunFolder, StageFolder

Script = Callable[
    [str, int], str
]  # (stage label, attempt) -> "done", "fail", "die", "error", "retry", "memory", "halt", "interrupt"


@dataclass
class FakePool:
    """Runs at most `size` jobs "at once"; notes every job and stage it was given."""

    stages: Path
    size: int = 2
    script: Script = lambda label, attempt: "done"
    jobs: list[list[str]] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    closed: bool = False
    interrupted: bool = False
    most_at_once: int = 0
    _running: deque[tuple[str, Job]] = field(default_factory=deque)

    def free(self) -> int:
        return self.size - len(self._running)

    def submit(self, name: str, job: Job) -> str:
        assert self.free() > 0
        self._running.append((name, job))
        self.most_at_once = max(self.most_at_once, len(self._running))
        self.jobs.append([stage["label"] for stage in job["stages"]])
        return "fake"

    def wait(self, seconds: float) -> list[Event]:
        if not self._running:
            return []
        name, job = self._running.popleft()
        if self.interrupted:
            return [{"job": name, "event": "interrupted"}]
        events: list[Event] = []
        for value in job["stages"]:
            spec = parse_spec(value)
            self.attempts[spec.label] = self.attempts.get(spec.label, 0) + 1
            for given in spec.inputs:
                assert (self.stages / job["folders"][given] / "DONE").is_file(), "an input is not done"
            what = self.script(spec.label, self.attempts[spec.label])
            if what == "die":
                return [*events, {"job": name, "event": "died", "error": "worker-0 was killed by SIGKILL"}]
            if what == "interrupt":
                return [*events, {"job": name, "event": "interrupted"}]
            if what == "halt":
                return [*events, {"job": name, "event": "error", "error": "the disk is full", "halt": True}]
            if what == "memory":
                out = {"job": name, "event": "error", "error": "out of memory", "retry": True, "memory": True}
                return [*events, out]
            if what in ("error", "retry"):
                return [*events, {"job": name, "event": "error", "error": "broken", "retry": what == "retry"}]
            if what == "fail":
                events.append({"job": name, "event": "failed", "stage": spec.fingerprint, "error": "loss is nan"})
                continue
            events.append({"job": name, "event": "ended", "outcome": self._commit(spec)})
        return [*events, {"job": name, "event": "done"}]

    def _commit(self, spec: Any) -> dict[str, Any]:
        folder = StageFolder(self.stages, spec)
        folder.open()
        now = time.time()
        facts = {"metrics": {}, "folder": "none"}
        outcome = Outcome(spec.fingerprint, spec.kind, spec.label, "done", now, now, facts=facts)
        folder.commit(outcome)
        return asdict(outcome)

    def interrupt(self) -> None:
        self.interrupted = True

    def close(self) -> None:
        self.closed = True


class Trial(Scheduler):
    """A scheduler whose blocks are always there."""

    def _has_blocks(self, folder: StageFolder) -> bool:
        return True


def run(
    plan: Plan,
    out: Path,
    script: Script = lambda label, attempt: "done",
    stopping: Callable[[], bool] = lambda: False,
    refused: dict[str, str] | None = None,
) -> tuple[Trial, FakePool]:
    """Schedules the plan in `out` to its end; returns the scheduler with the states of stages, and the pool."""
    folder = RunFolder(out)
    folder.create(plan.study, plan, {})
    ledger = Ledger(out)
    pool = FakePool(folder.stages, script=script)
    scheduler = Trial(plan, folder, pool, ledger, out, stopping, lambda what, facts: None, refused or {})
    scheduler.run()
    ledger.close()
    return scheduler, pool
