"""Worker processes on this machine, one job each at a time.

Owns starting, feeding, hearing and ending them. Each has its own process group and log. Does not know order or
retries.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regimen.execution.pool import LAST, Event, Job
from regimen.execution.worker import TOLD_TO_END

CLOSE_SECONDS = 3.0


@dataclass
class _Worker:
    """One worker process and the job it has."""

    name: str
    process: subprocess.Popen[bytes]
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
        environment = {**os.environ, **(self.environments[slot] if self.environments else {})}
        with (self.logs / f"{self.name}-{slot}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "regimen.execution.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
        worker = _Worker(f"{self.name}-{slot} (pid {process.pid})", process)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, slot)
        self._workers[slot] = worker
        self._send(worker, {"place": self.places[slot]})
        return worker

    @staticmethod
    def _send(worker: _Worker, message: dict[str, Any]) -> None:
        assert worker.process.stdin is not None
        try:
            worker.process.stdin.write(json.dumps(message).encode() + b"\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            worker.process.kill()  # it is ending; its death is reported by `wait`

    def wait(self, seconds: float) -> list[Event]:
        """Events since the last call; returns early when there is one."""
        events: list[Event] = []
        for key, _ in self._selector.select(seconds):
            events += self._hear(key.data)
        return events

    def _hear(self, slot: int) -> list[Event]:
        worker = self._workers[slot]
        assert worker.process.stdout is not None
        data = worker.process.stdout.read(1 << 20)
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
        assert worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout)
        code = worker.process.wait()
        _end_group(worker.process)
        if worker.job is None:
            return []
        if code == TOLD_TO_END:  # a job that crossed with its end was not begun
            return [{"event": "interrupted", "job": worker.job}]
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if -code == signal.SIGKILL:
            how += " (the kernel does that when memory runs out: then use fewer --workers)"
        log = self.logs / f"{self.name}-{slot}.log"
        return [{"event": "died", "job": worker.job, "error": f"{worker.name} was {how}; its log is {log}"}]

    def interrupt(self) -> None:
        """Asks running jobs to save their state and end."""
        for worker in self._workers.values():
            if worker.job is not None:
                self._send(worker, {"stop": True})

    def close(self) -> None:
        """Ends every worker: idle ones by closing their input, then whatever is left, by force."""
        for worker in self._workers.values():
            assert worker.process.stdin is not None
            _close_quietly(worker.process.stdin)
        deadline = time.monotonic() + CLOSE_SECONDS
        for worker in self._workers.values():
            if worker.job is None:
                _wait_until(worker.process, deadline)
            _end_group(worker.process)
            worker.process.wait()
            assert worker.process.stdout is not None
            _close_quietly(worker.process.stdout)
        self._workers.clear()
        self._selector.close()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kills a worker and everything it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_until(process: subprocess.Popen[bytes], deadline: float) -> None:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return


def _close_quietly(pipe: Any) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return
