"""Worker processes on this machine, one job each at a time.

Owns the life of these processes and the pipes to them. Each has its own process group and log. Does not know order or
retries.
"""

from __future__ import annotations

import json
import os
import select
import selectors
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from regimen.errors import MachineError
from regimen.execution.machine import LocalWorker
from regimen.execution.template import LOST, Template
from regimen.execution.worker import ASKED_TO_END, STOP
from regimen.stages.messages import Job, JobEnd, Message

CLOSE_SECONDS = 3.0
MAX_BREAKS = 2


@dataclass
class _Worker:
    """One worker process, the pipes to it and from it, and the job that it carries out."""

    name: str
    pid: int
    jobs: BinaryIO
    messages: BinaryIO
    job: str | None = None
    pending: bytes = b""


@dataclass
class LocalPool:
    """One process for each of `workers`, started when it gets its first job.

    A device that breaks its workers MAX_BREAKS times without a job done in between gets no more jobs, while there is
    another.
    """

    workers: Sequence[LocalWorker]
    logs: Path
    name: str = "worker"
    _workers: dict[int, _Worker] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _template: Template | None = None
    _breaks: Counter[str] = field(default_factory=Counter)

    def free(self) -> int:
        """The number of jobs that can be submitted now."""
        return len(self._idle())

    def _idle(self) -> list[int]:
        """The slots that can take a job, those on devices that broke the fewest workers first."""
        usable = [slot for slot in range(len(self.workers)) if self._breaks[self._device(slot)] < MAX_BREAKS]
        slots = usable or range(len(self.workers))
        idle = [slot for slot in slots if slot not in self._workers or self._workers[slot].job is None]
        return sorted(idle, key=lambda slot: self._breaks[self._device(slot)])

    def _device(self, slot: int) -> str:
        return self.workers[slot].device

    def submit(self, job: Job) -> str:
        """Gives a job to an idle worker, or starts one for it; returns the worker's name.

        Raises MachineError where no worker can be started.
        """
        slot = self._idle()[0]
        worker = self._workers.get(slot) or self._start(slot)
        worker.job = job.id
        self._send(worker, job.to_line())
        return worker.name

    def _start(self, slot: int) -> _Worker:
        self.logs.mkdir(parents=True, exist_ok=True)
        jobs_out, jobs_in = os.pipe()
        messages_out, messages_in = os.pipe()
        with self._log(slot).open("ab") as log:
            pid = self._fork(slot, jobs_out, messages_in, log.fileno())
        os.close(jobs_out)
        os.close(messages_in)
        os.set_blocking(messages_out, False)
        jobs, messages = os.fdopen(jobs_in, "wb"), os.fdopen(messages_out, "rb", buffering=0)
        worker = _Worker(f"{self.name}-{slot} (pid {pid})", pid, jobs, messages)
        self._selector.register(messages, selectors.EVENT_READ, slot)
        self._workers[slot] = worker
        self._send(worker, json.dumps(self.workers[slot].setup.to_json()))
        return worker

    def _log(self, slot: int) -> Path:
        return self.logs / f"{self.name}-{slot}.log"

    def _fork(self, slot: int, *pipes: int) -> int:
        environment = dict(self.workers[slot].environment)
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
    def _send(worker: _Worker, line: str) -> None:
        try:
            worker.jobs.write(line.encode() + b"\n")
            worker.jobs.flush()
        except BrokenPipeError:
            _end_group(worker)  # it is ending; `wait` reports its death

    def wait(self, seconds: float) -> list[Message]:
        """Messages since the last call; returns early when there is one."""
        messages: list[Message] = []
        for key, _ in self._selector.select(seconds):
            messages += self._read(key.data)
        return messages

    def _read(self, slot: int) -> list[Message]:
        worker = self._workers[slot]
        data = worker.messages.read(1 << 20)
        if data is None:
            return []
        if not data:
            return self._bury(slot)
        *lines, worker.pending = (worker.pending + data).split(b"\n")
        messages = [Message.from_line(line) for line in lines]
        ends = [message.event for message in messages if isinstance(message.event, JobEnd)]
        if ends:
            worker.job = None
        if any(end.how == "died" for end in ends):  # it is of no more use; another takes the next job
            _end_group(worker)
            self._remove(slot)
            messages = [self._with_device(slot, message) for message in messages]
        elif any(end.how == "done" for end in ends):
            self._breaks[self._device(slot)] = 0
        return messages

    def _with_device(self, slot: int, message: Message) -> Message:
        """The message; the end of a worker whose device failed counts against that device, and names it."""
        end, device = message.event, self._device(slot)
        if not isinstance(end, JobEnd) or end.how != "died":
            return message
        self._breaks[device] += 1
        others = any(self._breaks[worker.device] < MAX_BREAKS for worker in self.workers)
        gone = self._breaks[device] >= MAX_BREAKS and others
        last = f", and {device} gets no more jobs in this run" if gone else ""
        return Message(message.job, replace(end, error=f"{end.error} (on {device}{last})"))

    def _bury(self, slot: int) -> list[Message]:
        worker, code = self._remove(slot)
        if worker.job is None:
            return []
        if code == ASKED_TO_END:  # a job that crossed with its end was not begun
            return [Message(worker.job, JobEnd("interrupted"))]
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if -code == signal.SIGKILL:
            how += " (the kernel kills processes when memory runs out; if so, use fewer --workers)"
        return [Message(worker.job, JobEnd("died", f"{worker.name} was {how}; its log is {self._log(slot)}"))]

    def _remove(self, slot: int) -> tuple[_Worker, int]:
        """Forgets a worker that has ended or is ending; returns it and its exit code."""
        worker = self._workers.pop(slot)
        self._selector.unregister(worker.messages)
        return worker, self._reap(worker)

    def _reap(self, worker: _Worker) -> int:
        """Waits for a worker's end and kills everything that it started; returns its exit code."""
        code = self._template.exit_code(worker.pid) if self._template else LOST
        _end_group(worker)
        _close_quietly(worker.jobs)
        worker.messages.close()
        return code

    def interrupt(self) -> None:
        """Asks running jobs to save their state and end."""
        for worker in self._workers.values():
            if worker.job is not None:
                self._send(worker, STOP)

    def close(self) -> None:
        """Ends every worker: closes the input of idle ones, then kills the rest."""
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
        if select.select([worker.messages], [], [], seconds)[0] and not worker.messages.read(1 << 20):
            return


def _close_quietly(pipe: BinaryIO) -> None:
    with suppress(BrokenPipeError):
        pipe.close()
