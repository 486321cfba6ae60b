"""Runs a plan for real, but in this process: no workers to start, no second copy of torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regimen.execution.pool import Event, Job
from regimen.execution.scheduler import Scheduler
from regimen.execution.worker import run_one
from regimen.files import cache_home
from regimen.plan import Plan
from regimen.results import Ledger, RunFolder
from regimen.stages.context import Context
from regimen.stages.place import Place


@dataclass
class InlinePool:
    """One job at a time, carried out when it is waited for."""

    context: Context
    _waiting: deque[tuple[str, Job]] = field(default_factory=deque)
    _heard: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.report = self._heard.append

    def free(self) -> int:
        return 1 - len(self._waiting)

    def submit(self, name: str, job: Job) -> str:
        self._waiting.append((name, job))
        return "inline"

    def wait(self, seconds: float) -> list[Event]:
        name, job = self._waiting.popleft()
        self._heard.clear()
        last = run_one({"name": name, "job": job}, self.context)
        return [*self._heard, last | {"job": name}]

    def interrupt(self) -> None:
        return None

    def close(self) -> None:
        return None


def run_inline(
    plan: Plan,
    out: Path,
    *,
    data: Path | None = None,
    here: Path | None = None,
    stopping: Callable[[], bool] = lambda: False,
    checkpoint_seconds: float = 1e9,
) -> Scheduler:
    """Carries out what is missing of `plan` in `out`; returns the scheduler, with the states of all stages."""
    folder = RunFolder(out)
    folder.create(plan.study, plan, {"compile": dict(plan.compiled_with)})
    place = Place(
        stages=str(folder.stages),
        cache=str(cache_home()),
        data=str(data) if data else None,
        here=str(here) if here else None,
        checkpoint_seconds=checkpoint_seconds,
    )
    pool = InlinePool(Context(place, lambda event: None, stopping))
    ledger = Ledger(out)
    scheduler = Scheduler(plan, folder, pool, ledger, cache_home(), stopping, lambda what, facts: None)
    scheduler.run()
    ledger.close()
    return scheduler


def assert_done(scheduler: Scheduler) -> None:
    """Every stage is done; the errors are shown where not."""
    assert set(scheduler.states.values()) == {"done"}, scheduler.errors


def outcome_facts(plan: Plan, out: Path, name: str) -> dict[str, Any]:
    """The facts of a done stage."""
    outcome = RunFolder(out).outcome(plan.stages[name])
    assert outcome is not None
    return outcome.facts
