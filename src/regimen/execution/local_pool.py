"""Worker processes on this machine, one job each at a time.

Owns starting, feeding, hearing and ending them. Each has its own process group and log. Does not know order or
retries.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from regimen.errors import MachineError
from regimen.execution.pool import LAST, Event, Job
from regimen.execution.template import LOST, Template
from regimen.execution.worker import TOLD_TO_END

CLOSE_SECONDS = 3.0


@dataclass
class _Worker:
    """One worker process, the pipes to it and from it, and the job it has."""

    name: str
    pid: int
    jobs: BinaryIO
    events: BinaryIO
    job: str | None = None
    pending: bytes = b""


@dataclass
class LocalPool:
    """`size` workers; `places` are what each is told of where it runs (one for each slot)."""

    places: Sequence[dict[str, Any]]
    logs: Path
    environments: Sequence[dict[str, str]] = ()
    name: str = "worker"
    _workers: dict[int, _Worker] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _template: Template | None = None

    def free(self) -> int:
        """How many more jobs can be submitted now."""
        busy = sum(worker.job is not None for worker in self._workers.values())
        return len(self.places) - busy

    def submit(self, name: str, job: Job) -> str:
        """Gives a job to an idle worker, starting one if need be; returns the worker's name."""
        slot = next(
            slot for slot in range(len(self.places)) if slot not in self._workers or self._workers[slot].job is None
        )
        worker = self._workers.get(slot) or self._start(slot)
        worker.job = name
        self._send(worker, {"name": name, "job": job})
        return worker.name

    def _start(self, slot: int) -> _Worker:
        self.logs.mkdir(parents=True, exist_ok=True)
        jobs_out, jobs_in = os.pipe()
        events_out, events_in = os.pipe()
        with (self.logs / f"{self.name}-{slot}.log").open("ab") as log:
            pid = self._fork(slot, jobs_out, events_in, log.fileno())
        os.close(jobs_out)
        os.close(events_in)
        os.set_blocking(events_out, False)
        jobs, events = os.fdopen(jobs_in, "wb"), os.fdopen(events_out, "rb", buffering=0)
        worker = _Worker(f"{self.name}-{slot} (pid {pid})", pid, jobs, events)
        self._selector.register(events, selectors.EVENT_READ, slot)
        self._workers[slot] = worker
        self._send(worker, {"place": self.places[slot]})
        return worker

    def _fork(self, slot: int, *pipes: int) -> int:
        environment = self.environments[slot] if self.environments else {}
        if self._template is not None:
            with suppress(OSError):
                return self._template.fork(environment, *pipes)
            self._template.close()  # it was killed, and its workers with it
        log = self.logs / f"{self.name}-template.log"
        self._template = Template(log)
        try:
            return self._template.fork(environment, *pipes)
        except OSError as fault:
            raise MachineError(f"no worker can be started: {fault}; its log is {log}") from None

    @staticmethod
    def _send(worker: _Worker, message: dict[str, Any]) -> None:
        try:
            worker.jobs.write(json.dumps(message).encode() + b"\n")
            worker.jobs.flush()
        except BrokenPipeError:
            _end_group(worker)  # it is ending; its death is reported by `wait`

    def wait(self, seconds: float) -> list[Event]:
        """Events since the last call; returns early when there is one."""
        events: list[Event] = []
        for key, _ in self._selector.select(seconds):
            events += self._hear(key.data)
        return events

    def _hear(self, slot: int) -> list[Event]:
        worker = self._workers[slot]
        data = worker.events.read(1 << 20)
        if data is None:
            return []
        if not data:
            return self._bury(slot)
        *lines, worker.pending = (worker.pending + data).split(b"\n")
        events = []
        for line in lines:
            event = json.loads(line)
            if event["event"] in LAST:
                worker.job = None
            if event["event"] != "ready":
                events.append(event)
        return events

    def _bury(self, slot: int) -> list[Event]:
        worker = self._workers.pop(slot)
        self._selector.unregister(worker.events)
        code = self._reap(worker)
        if worker.job is None:
            return []
        if code == TOLD_TO_END:  # a job that crossed with its end was not begun
            return [{"event": "interrupted", "job": worker.job}]
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if -code == signal.SIGKILL:
            how += " (the kernel does that when memory runs out: then use fewer --workers)"
        log = self.logs / f"{self.name}-{slot}.log"
        return [{"event": "died", "job": worker.job, "error": f"{worker.name} was {how}; its log is {log}"}]

    def _reap(self, worker: _Worker) -> int:
        """The exit code of a worker that has closed its output; ends everything it started."""
        code = self._template.exit_code(worker.pid) if self._template else LOST
        _end_group(worker)
        _close_quietly(worker.jobs)
        worker.events.close()
        return code

    def interrupt(self) -> None:
        """Asks running jobs to save their state and end."""
        for worker in self._workers.values():
            if worker.job is not None:
                self._send(worker, {"stop": True})

    def close(self) -> None:
        """Ends every worker: idle ones by closing their input, then whatever is left, by force."""
        for worker in self._workers.values():
            _close_quietly(worker.jobs)
        deadline = time.monotonic() + CLOSE_SECONDS
        for worker in self._workers.values():
            if worker.job is None:
                _wait_for_end(worker, deadline)
            _end_group(worker)
            self._reap(worker)
        self._workers.clear()
        self._selector.close()
        if self._template is not None:
            self._template.close()
            self._template = None


def _end_group(worker: _Worker) -> None:
    """Kills a worker and everything it started."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)


def _wait_for_end(worker: _Worker, deadline: float) -> None:
    """Waits until a worker has closed its output."""
    while (seconds := deadline - time.monotonic()) > 0:
        if select.select([worker.events], [], [], seconds)[0] and not worker.events.read(1 << 20):
            return


def _close_quietly(pipe: BinaryIO) -> None:
    with suppress(BrokenPipeError):
        pipe.close()
