"""A pool that carries jobs out in this process, for tests of the scheduler alone.

Each stage is "done" by committing an empty outcome; `script` may say otherwise for a stage.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from regimen.execution.scheduler import Scheduler
from regimen.plan import Plan, Stage
from regimen.results import Ledger, Outcome, RunFolder, StageFolder
from regimen.results.facts import parse_facts
from regimen.stages.messages import Ended, Event, Failed, Job, JobEnd, Message

Script = Callable[
    [str, int], str
]  # (stage label, attempt) -> "done", "fail", "die", "error", "retry", "memory", "halt", "interrupt"
ENDS = {
    "die": JobEnd("died", "worker-0 was killed by SIGKILL"),
    "interrupt": JobEnd("interrupted"),
    "halt": JobEnd("failed", "the disk is full", "disk"),
    "memory": JobEnd("failed", "out of memory", "memory"),
    "error": JobEnd("failed", "broken", "input"),
    "retry": JobEnd("failed", "broken", "chance"),
}


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
    _running: deque[Job] = field(default_factory=deque)

    def free(self) -> int:
        return self.size - len(self._running)

    def submit(self, job: Job) -> str:
        assert self.free() > 0
        self._running.append(job)
        self.most_at_once = max(self.most_at_once, len(self._running))
        self.jobs.append([stage.label for stage in job.stages])
        return "fake"

    def wait(self, seconds: float) -> list[Message]:
        if not self._running:
            return []
        job = self._running.popleft()
        return [Message(job.id, event) for event in self._events(job)]

    def _events(self, job: Job) -> list[Event]:
        if self.interrupted:
            return [JobEnd("interrupted")]
        events: list[Event] = []
        for stage in job.stages:
            self.attempts[stage.label] = self.attempts.get(stage.label, 0) + 1
            for given in stage.inputs:
                assert (self.stages / job.inputs[given] / "DONE").is_file(), "an input is not done"
            what = self.script(stage.label, self.attempts[stage.label])
            if what in ENDS:
                return [*events, ENDS[what]]
            failed = what == "fail"
            events.append(Failed(stage.fingerprint, "loss is nan") if failed else Ended(self._commit(stage)))
        return [*events, JobEnd("done")]

    def _commit(self, stage: Stage) -> Outcome:
        folder = StageFolder(self.stages, stage)
        folder.open()
        now = time.time()
        facts = parse_facts(stage.kind, {"task": "any", "metrics": {}, "folder": "none"})
        outcome = Outcome(stage.fingerprint, stage.kind, stage.label, "done", now, now, facts)
        folder.commit(outcome)
        return outcome

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
    pool = FakePool(folder.stages, script=script)
    with Ledger(out) as ledger:
        scheduler = Trial(plan, folder, pool, ledger, out, stopping, lambda event: None, refused or {})
        scheduler.run()
    return scheduler, pool
