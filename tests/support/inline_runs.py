"""Runs a plan for real, but in this process: no workers to start, no second copy of torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from regimen.execution.scheduler import Scheduler
from regimen.execution.worker import run_one
from regimen.files import cache_home, write_json
from regimen.plan import Plan
from regimen.results import Ledger, RunFolder, StageFolder, layout
from regimen.results.facts import F, parse_facts
from regimen.stages.context import Context
from regimen.stages.messages import Job, Message
from regimen.stages.options import RunOptions, WorkerSetup


@dataclass
class InlinePool:
    """One job at a time, carried out when it is waited for."""

    context: Context
    _waiting: deque[Job] = field(default_factory=deque)

    def free(self) -> int:
        return 1 - len(self._waiting)

    def submit(self, job: Job) -> str:
        self._waiting.append(job)
        return "inline"

    def wait(self, seconds: float) -> list[Message]:
        messages: list[Message] = []
        run_one(self._waiting.popleft(), self.context, messages.append)
        return messages

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
    trust_code: bool = False,
) -> Scheduler:
    """Carries out what is missing of `plan` in `out`; returns the scheduler, with the states of all stages."""
    folder = RunFolder(out)
    folder.create(plan.study, plan, {"compile": plan.options.to_json()})
    options = RunOptions(out, data=data, here=here, checkpoint_seconds=checkpoint_seconds, trust_code=trust_code)
    pool = InlinePool(Context(WorkerSetup(options, cache_home()), stopping))
    with Ledger(out) as ledger:
        scheduler = Scheduler(plan, folder, pool, ledger, cache_home(), stopping, lambda event: None)
        scheduler.run()
    return scheduler


def assert_done(scheduler: Scheduler) -> None:
    """Every stage is done; the errors are shown where not."""
    assert set(scheduler.states.values()) == {"done"}, scheduler.errors


def outcome_facts(plan: Plan, out: Path, name: str, kind: type[F]) -> F:
    """The facts of a done stage of this kind."""
    outcome = RunFolder(out).outcome(plan.stages[name])
    assert outcome is not None
    assert isinstance(outcome.facts, kind)
    return outcome.facts


def change_facts(folder: StageFolder, **facts: Any) -> None:
    """Writes other facts into the outcome of a done stage, as if it had recorded them."""
    outcome = folder.outcome()
    assert outcome is not None
    changed = replace(outcome, facts=parse_facts(outcome.kind, {**outcome.facts.to_json(), **facts}))
    write_json(folder.path / layout.OUTCOME, changed.to_json())
