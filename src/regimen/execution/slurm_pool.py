"""Worker processes in Slurm jobs: the same workers as the local pool's, each held by a job that submitit sends.

Owns the jobs, one for each worker: their sending (together, as an array), places, messages and ends. The only home of
submitit. Driver and nodes share the run folder, in which a mailbox lies for each worker. A job that waits in the queue
holds up nobody: work is given to those that have begun. Decides no order and retries nothing but a job that ended.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from regimen.errors import MachineError, UsageError
from regimen.execution.machine import THREADS, allocator
from regimen.execution.slurm_seat import CLOSE, INTERRUPT, SILENT_SECONDS, Mailbox, serve
from regimen.gpus import VISIBLE
from regimen.results import layout
from regimen.stages.messages import Job, JobEnd, Message
from regimen.stages.options import WorkerSetup

CLOSE_SECONDS = 6.0
CHECK_SECONDS = 2.0  # between two looks at the state of a job
ORPHAN_SECONDS = 15.0  # a living worker of a dead driver beats twice a second, and ends when it is asked to
MINUTES = 240
OWN = {"time": "timeout_min", "cpus": "cpus_per_task", "gpus": "gpus_per_node", "mem": "mem_gb"}  # whole numbers
SLURMS = ("partition", "account", "qos", "constraint", "gres", "exclude", "nodelist", "dependency", "comment")


def slurm_values(given: Sequence[str]) -> dict[str, str]:
    """The values of `--slurm KEY=VALUE`; raises UsageError for what submitit does not know or is no number."""
    values: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not value or key not in (*OWN, *SLURMS, "cluster"):
            known = ", ".join((*OWN, *SLURMS))
            raise UsageError(f"--slurm is {text!r}; it must be KEY=VALUE with a key of {known}")
        if key in OWN and not (value.isascii() and value.isdigit()):
            raise UsageError(f"--slurm is {text!r}; {key} is a whole number{' of minutes' if key == 'time' else ''}")
        if key == "cluster" and value not in ("slurm", "local"):
            raise UsageError(f"--slurm is {text!r}; it must be cluster=slurm, or cluster=local to try it here")
        values[key] = value
    return values


@dataclass
class _Seat:
    """The driver's side of a worker: its Slurm job, its mailbox, and the id of the job that it carries out."""

    number: int
    sent: Any
    mailbox: Mailbox
    job: str | None = None
    checked: float = field(default_factory=time.monotonic)

    @property
    def host(self) -> str | None:
        """The node it has begun on, None while it waits in the queue."""
        return self.mailbox.beat.heard()

    @property
    def name(self) -> str:
        """As logs name it."""
        return f"slurm-{self.number} (job {self.sent.job_id}) on {self.host}"


@dataclass
class SlurmPool:
    """`workers` workers, each a Slurm job by `values` (of `slurm_values`)."""

    setup: WorkerSetup
    logs: Path
    workers: int
    values: Mapping[str, str]
    _seats: list[_Seat] = field(default_factory=list)
    _count: int = 0
    _losses: int = 0

    def __post_init__(self) -> None:
        home = self.setup.options.out / layout.SLURM
        _end_orphans(home)
        self._home = home / uuid.uuid4().hex[:8]
        self._home.mkdir(parents=True)
        self._beat = Mailbox(self._home / "none").driver
        self._beat.strike()
        self._executor = _executor(self._home / "submitit", self.values)

    def free(self) -> int:
        """The number of workers that have begun and have no job; sends Slurm jobs for those that are missing.

        Raises MachineError where they end again and again before anything is done.
        """
        self._beat.strike()
        if self._losses > 3 * self.workers:
            raise MachineError(
                f"{self._losses} Slurm jobs in a row ended before their work did; their output is in {self._home}, "
                f"that of workers in {self.logs}"
            )
        if (missing := self.workers - len(self._seats)) > 0:
            self._send(missing)
        return len(self._idle())

    def _idle(self) -> list[_Seat]:
        return [seat for seat in self._seats if seat.job is None and seat.host is not None]

    def _send(self, count: int) -> None:
        """Sends `count` Slurm jobs, more than one as an array; raises MachineError where Slurm refuses."""
        gpus = int(self.values.get("gpus", "0")) > 0
        setup = replace(self.setup, device="cuda:0") if gpus else self.setup
        environment = {THREADS: str(self.setup.threads or 1), "REGIMEN_CACHE": str(self.setup.cache)}
        environment |= allocator() if gpus else {VISIBLE: ""}
        environment |= {key: value for key, value in os.environ.items() if key.startswith("HF_")}
        mailboxes = [Mailbox(self._home / f"seat-{self._count + place}") for place in range(count)]
        for mailbox in mailboxes:
            mailbox.folder.mkdir()
        try:
            with self._executor.batch():
                sent = [
                    self._executor.submit(serve, str(mailbox.folder), setup.to_json(), environment, str(self.logs))
                    for mailbox in mailboxes
                ]
        except (OSError, RuntimeError, ValueError) as fault:
            first = next(iter(str(fault).strip().splitlines()), type(fault).__name__)
            raise MachineError(f"Slurm takes no job ({first[:200]}); see `sbatch` and --slurm KEY=VALUE") from None
        for job, mailbox in zip(sent, mailboxes, strict=True):
            self._seats.append(_Seat(self._count, job, mailbox))
            self._count += 1

    def submit(self, job: Job) -> str:
        """Gives a job to an idle worker; returns its name with its node."""
        seat = self._idle()[0]
        seat.job = job.id
        seat.mailbox.jobs.append(job.to_line())
        return seat.name

    def wait(self, seconds: float) -> list[Message]:
        """Messages since the last call; returns early when there is one."""
        until = time.monotonic() + seconds
        while True:
            self._beat.strike()
            messages = [message for seat in list(self._seats) for message in self._read(seat)]
            left = until - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(0.1, left))

    def _read(self, seat: _Seat) -> list[Message]:
        messages = [Message.from_line(line) for line in seat.mailbox.messages.read()]
        for message in messages:
            if isinstance(message.event, JobEnd):
                seat.job = None
                self._losses = 0 if message.event.how in ("done", "failed") else self._losses
        ends = [message.event for message in messages if isinstance(message.event, JobEnd)]
        if any(end.how == "died" for end in ends):  # its device may be broken: Slurm looks for a place anew
            self._drop(seat)
        elif not messages and (why := self._lost(seat)):
            self._drop(seat)
            self._losses += 1
            if seat.job is not None:
                messages.append(Message(seat.job, JobEnd("died", f"{seat.name} was lost ({why})")))
        return messages

    def _lost(self, seat: _Seat) -> str:
        """Why a worker is given up: its job has ended, or it has begun and does not answer; "" while it lives."""
        if time.monotonic() - seat.checked < CHECK_SECONDS:
            return ""
        seat.checked = time.monotonic()
        if seat.sent.done():
            return f"its state is {str(seat.sent.state).lower()}"
        silent = seat.host is not None and seat.mailbox.beat.silent > SILENT_SECONDS
        return f"no answer for {SILENT_SECONDS:.0f} s" if silent else ""

    def _drop(self, seat: _Seat) -> None:
        self._seats.remove(seat)
        seat.mailbox.jobs.append(CLOSE)
        if not seat.sent.done():
            seat.sent.cancel(check=False)

    def interrupt(self) -> None:
        """Asks running jobs to save their state and end."""
        for seat in self._seats:
            if seat.job is not None:
                seat.mailbox.jobs.append(INTERRUPT)

    def close(self) -> None:
        """Ends every worker, cancels the jobs that still wait, and removes the mailboxes."""
        for seat in self._seats:
            seat.mailbox.jobs.append(CLOSE)
        until = time.monotonic() + CLOSE_SECONDS
        begun = [seat for seat in self._seats if seat.host is not None]
        while time.monotonic() < until and any(not seat.mailbox.ended.exists() for seat in begun):
            time.sleep(0.05)
        for seat in self._seats:
            if not seat.mailbox.ended.exists():
                seat.sent.cancel(check=False)
            elif hasattr(seat.sent, "_process"):  # submitit's local jobs are children of this process
                seat.sent._process.wait()
        self._seats.clear()
        if not self._losses:
            shutil.rmtree(self._home, ignore_errors=True)


def _end_orphans(home: Path) -> None:
    """Ends the workers of drivers that were killed, before others begin what they have begun, and removes their boxes.

    A job of theirs that still waits in the queue finds no box when it begins, and ends.
    """
    for old in sorted(home.glob("*")):
        seats = [Mailbox(folder) for folder in old.glob("seat-*")]
        for seat in seats:
            seat.jobs.append(CLOSE)
        while any(
            seat.beat.heard() is not None and not seat.ended.exists() and seat.beat.silent < ORPHAN_SECONDS
            for seat in seats
        ):
            time.sleep(0.1)
        shutil.rmtree(old, ignore_errors=True)


def _executor(folder: Path, values: Mapping[str, str]) -> Any:
    """The executor of submitit with the run's values; raises UsageError where it is not installed or finds no Slurm."""
    try:
        import submitit
    except ImportError:
        raise UsageError("--pool slurm needs the package submitit; pip install 'regimen-lm[slurm]'") from None
    cluster = values.get("cluster", "slurm")
    if cluster == "slurm" and shutil.which("sbatch") is None:
        raise UsageError("--pool slurm needs the program sbatch, which is not on this machine; start from a login node")
    executor = submitit.AutoExecutor(folder=folder, cluster=cluster)
    parameters: dict[str, object] = {"name": "regimen", "timeout_min": MINUTES, "nodes": 1, "tasks_per_node": 1}
    parameters |= {OWN[key]: int(value) for key, value in values.items() if key in OWN}
    if cluster == "slurm":
        parameters |= {f"slurm_{key}": value for key, value in values.items() if key in SLURMS}
    executor.update_parameters(**parameters)
    return executor
