"""The one scheduler: it runs ready stages, blocks only the stages that need a failed one, and redoes nothing.

Owns ready, skip, retry, fail and block, over the cohorts of a plan. Pools run jobs, markers on disk show which stages
are done, the ledger records all changes. Does not know the work of a job or the place where a pool runs it.
"""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from regimen.errors import MachineError
from regimen.execution.events import AlreadyDone, Observer, StageChanged
from regimen.execution.pool import Pool
from regimen.execution.survey import outdated, survey
from regimen.plan import Cohort, Plan, Stage, TrainSpec
from regimen.plan.cohorts import critical_paths
from regimen.results import Ledger, Outcome, PreparedFacts, RunFolder, StageFolder
from regimen.stages.blocks import has_blocks
from regimen.stages.messages import Ended, Failed, Job, JobEnd, Message, Placed, Progress

MAX_DEATHS = 3  # deaths of its workers, or failures by chance, after which a job's stages fail
POLL_SECONDS = 0.5
STOP_SECONDS = 30.0  # time that running jobs get to save their state before their pool ends them


@dataclass
class _Task:
    """The stages of a cohort that are not done, the inputs that it waits for, the deaths of its workers."""

    id: str
    cohort: Cohort
    left: list[str]
    waits: set[str]
    priority: float
    deaths: int = 0
    running: bool = False


@dataclass
class Scheduler:
    """Carries out a plan in a run folder on a pool; asks `stopping` between messages, passes changes to `observe`."""

    plan: Plan
    folder: RunFolder
    pool: Pool
    ledger: Ledger
    cache: Path
    stopping: Callable[[], bool]
    observe: Observer
    refused: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(init=False, default_factory=dict)
    errors: dict[str, str] = field(init=False, default_factory=dict)
    halted: str | None = field(init=False, default=None)
    _tasks: dict[str, _Task] = field(init=False, default_factory=dict)
    _task_of: dict[str, _Task] = field(init=False, default_factory=dict)
    _running: int = field(init=False, default=0)
    _needed_by: dict[str, list[str]] = field(init=False, default_factory=dict)
    _ready: list[tuple[float, int, str]] = field(init=False, default_factory=list)
    _counter: int = field(init=False, default=0)

    def run(self) -> None:
        """Runs until everything is done, failed or blocked, or until asked to stop.

        A stage that was redone may have other content, since a smaller cohort rounds differently; then every stage
        that used the old content is redone too. Raises MachineError, after all running work has ended, where the disk
        takes nothing more.
        """
        while True:
            self._survey()
            worked = bool(self._ready)
            stopped = self._carry_out()
            self.folder.digests.save()
            if self.halted:
                raise MachineError(self.halted)
            if stopped or not worked or not outdated(self.folder.read(self.plan).outcomes):
                return

    def _carry_out(self) -> bool:
        """Runs the tasks; true if asked to stop."""
        stopped = False
        deadline = float("inf")
        while True:
            if not stopped and (self.halted or self.stopping()):
                stopped, deadline = True, time.monotonic() + STOP_SECONDS
                self.pool.interrupt()
            if not stopped:
                self._submit()
            if not self._running and (stopped or not self._ready):
                break
            for message in self.pool.wait(POLL_SECONDS):
                self._handle(message)
            if time.monotonic() > deadline:
                self._leave_running()
                break
        return stopped

    def _survey(self) -> None:
        """Reads the stages that are done and builds tasks of the others."""
        self._tasks, self._task_of, self._needed_by, self._ready = {}, {}, {}, []
        self.ledger.enter(
            (name, stage.label, stage.kind, self.plan.cohort_of.get(name)) for name, stage in self.plan.stages.items()
        )
        outcomes = survey(self.plan, self.folder, self.observe)
        self.folder.digests.save()
        self.states = {name: "done" if name in outcomes else "pending" for name in self.plan.stages}
        for stage in self.plan.stages.values():
            self._prepare_again(stage)
        for name, outcome in outcomes.items():
            if self.states[name] == "done":
                self.ledger.ended(outcome)
        weights = critical_paths(self.plan.stages)
        for cohort in self.plan.cohorts:
            left = [name for name in cohort.stages if self.states[name] != "done"]
            if not left:
                continue
            waits = {
                given for name in left for given in self.plan.stages[name].inputs if self.states.get(given) != "done"
            }
            self._add(_Task(cohort.id, cohort, left, waits, -max(weights[name] for name in left)))
        for name, why in {**self.refused, **self.errors}.items():
            self._fail(name, why)
        self.observe(AlreadyDone(tuple(name for name, state in self.states.items() if state == "done")))
        for task in list(self._tasks.values()):
            self._enqueue(task)

    def _add(self, task: _Task) -> None:
        self._tasks[task.id] = task
        self._task_of.update(dict.fromkeys(task.left, task))
        for given in task.waits:
            self._needed_by.setdefault(given, []).append(task.id)

    def _prepare_again(self, stage: Stage) -> None:
        """Prepares blocks again if a training needs them and the cache has lost them."""
        if not isinstance(stage, TrainSpec) or self.states[stage.fingerprint] == "done":
            return
        looked_at = stage.leg.validation.rows.values() if stage.leg.validation else ()
        for given in (*stage.leg.sources.values(), *looked_at):
            folder = self.folder.folder(self.plan.stages[given])
            if self.states[given] == "done" and not self._has_blocks(folder):
                folder.reopen()
                self.states[given] = "pending"

    def _has_blocks(self, folder: StageFolder) -> bool:
        outcome = folder.outcome()
        facts = outcome.facts if outcome is not None else None
        return isinstance(facts, PreparedFacts) and has_blocks(facts, self.cache, self.folder.digests)

    def _enqueue(self, task: _Task) -> None:
        if not task.waits and task.left and not task.running:
            self._counter += 1
            heapq.heappush(self._ready, (task.priority, self._counter, task.id))

    def _submit(self) -> None:
        while self._ready and self.pool.free():
            task = self._tasks[heapq.heappop(self._ready)[2]]
            if task.running or not task.left:
                continue
            self._run_state(task, True)
            worker = self.pool.submit(self._job(task))
            self.ledger.started(task.left, worker)
            for name in task.left:
                self._set(name, "running")

    def _run_state(self, task: _Task, running: bool) -> None:
        self._running += running - task.running
        task.running = running

    def _job(self, task: _Task) -> Job:
        stages = tuple(self.plan.stages[name] for name in task.left)
        inputs = {given for stage in stages for given in stage.inputs}
        return Job(task.id, stages, {given: self.folder.folder(self.plan.stages[given]).path.name for given in inputs})

    def _handle(self, message: Message) -> None:
        task = self._tasks[message.job]
        match message.event:
            case Progress() as progress:
                self.observe(progress)
            case Placed(worker):
                self.ledger.placed(task.left, worker)
            case Ended(outcome):
                self._done(task, outcome)
            case Failed(stage, error):
                self._fail(stage, error)
            case JobEnd() as end:
                self._run_state(task, False)
                self._job_ended(task, end)

    def _job_ended(self, task: _Task, end: JobEnd) -> None:
        for name in list(task.left):  # a worker may die between a marker and its message
            outcome = self.folder.outcome(self.plan.stages[name])
            if outcome is not None:
                self._done(task, outcome)
        if not task.left:
            return
        if end.how == "interrupted":  # by us, or the machine asked its worker to end: then another goes on
            self._again(task)
        elif end.cause == "disk":
            self.halted = end.error
            self._again(task)
        elif end.cause == "memory" and len(task.left) > 1:
            self._split(task)
        elif end.cause != "input":
            self._retry(task, end.error or "its worker ended without a result")
        else:
            self._fail_all(task, end.error)

    def _retry(self, task: _Task, error: str) -> None:
        """Puts a failed job back; after MAX_DEATHS failures its stages fail."""
        task.deaths += 1
        if task.deaths >= MAX_DEATHS:
            self._fail_all(task, f"{error} ({MAX_DEATHS} times)")
        else:
            self._again(task)

    def _fail_all(self, task: _Task, error: str) -> None:
        for name in list(task.left):
            self._fail(name, error)

    def _again(self, task: _Task) -> None:
        """Puts a job back; it resumes from its state on disk."""
        self.ledger.set_state(task.left, "pending")
        for name in task.left:
            self._set(name, "pending")
        self._enqueue(task)

    def _split(self, task: _Task) -> None:
        """Splits a job that did not fit into memory in halves; their results are the same up to rounding."""
        middle = (len(task.left) + 1) // 2
        for part, left in enumerate((task.left[:middle], task.left[middle:])):
            half = _Task(f"{task.id}/{part}", task.cohort, list(left), set(), task.priority, task.deaths)
            self._add(half)
            self._again(half)
        task.left.clear()

    def _done(self, task: _Task, outcome: Outcome) -> None:
        name = outcome.fingerprint
        task.left.remove(name)
        self.ledger.ended(outcome)
        self.folder.trust(self.plan.stages[name], outcome)
        self._set(name, "done", outcome)
        for waiting in self._needed_by.pop(name, ()):
            other = self._tasks[waiting]
            other.waits.discard(name)
            self._enqueue(other)

    def _fail(self, name: str, error: str) -> None:
        """Fails a stage and blocks all stages that need it; a cohort goes on without its blocked members."""
        self.errors[name] = error
        self._leave(name, "failed", error)
        waiting = [name]
        while waiting:
            given = waiting.pop()
            for cohort in self._needed_by.pop(given, ()):
                task = self._tasks[cohort]
                for stage in [s for s in task.left if given in self.plan.stages[s].inputs]:
                    self._leave(stage, "blocked", f"needs {self.plan.stages[given].label}, which failed")
                    waiting.append(stage)
                task.waits = {
                    g
                    for s in task.left
                    for g in self.plan.stages[s].inputs
                    if self.states[g] not in ("done", "failed", "blocked")
                }
                self._enqueue(task)

    def _leave(self, name: str, state: str, error: str) -> None:
        task = self._task_of.get(name)
        if task and name in task.left:
            task.left.remove(name)
        self.ledger.set_state([name], state, error)
        self._set(name, state)

    def _leave_running(self) -> None:
        """Puts back the jobs that did not end in time, such as a long evaluation; the next call begins them again."""
        for task in [task for task in self._tasks.values() if task.running]:
            self._run_state(task, False)
            self._again(task)

    def _set(self, name: str, state: str, outcome: Outcome | None = None) -> None:
        self.states[name] = state
        self.observe(StageChanged(name, state, outcome, self.errors.get(name)))

    @property
    def counts(self) -> Counter[str]:
        """Stages by state."""
        return Counter(self.states.values())
