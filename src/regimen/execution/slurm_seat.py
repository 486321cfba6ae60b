"""The part of a Slurm pool that runs on a node: one worker process, and the files by which a driver speaks to it.

Owns the mailbox, a folder that driver and node both see: lines of JSON one way and the other, appended and never
changed, and beats by which each knows that the other lives. Does not know Slurm, order or retries.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from regimen.execution.local_pool import LocalPool
from regimen.execution.machine import LocalWorker
from regimen.stages.messages import Job, JobEnd
from regimen.stages.options import WorkerSetup

INTERRUPT, CLOSE = "interrupt", "close"
LISTEN_SECONDS = 0.5
SILENT_SECONDS = 120.0  # a file system that is shared shows a change after a minute at the latest
SAVING_SECONDS = 60.0  # time for the state of a training, before Slurm takes the node away


@dataclass
class Lines:
    """A file to which one side appends lines, and which the other reads; opened anew each time, so that a shared file
    system shows what was written."""

    path: Path
    _read: int = 0

    def append(self, line: str) -> None:
        """Adds a line, on disk when this returns."""
        with self.path.open("ab") as file:
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[str]:
        """The whole lines since the last call; none where the file is not there yet."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return whole.decode().splitlines()


@dataclass
class Beat:
    """A small file that one side keeps changing; `silent` is for how many seconds the other has seen no change."""

    path: Path
    _count: int = 0
    _last: str = ""
    _changed: float = field(default_factory=time.monotonic)

    def strike(self, words: str = "") -> None:
        """Changes the file; does nothing where its folder is gone."""
        self._count += 1
        with suppress(OSError):
            self.path.write_text(f"{self._count} {words}", encoding="utf-8")

    def heard(self) -> str | None:
        """The words of the last beat, None before the first."""
        with suppress(OSError):
            text = self.path.read_text(encoding="utf-8")
            if text and text != self._last:
                self._last, self._changed = text, time.monotonic()
        return self._last.partition(" ")[2] if self._last else None

    @property
    def silent(self) -> float:
        """Seconds since the last change that `heard` saw, or since this was made."""
        return time.monotonic() - self._changed


class Mailbox:
    """A seat's folder: `jobs` from the driver, `messages` to it, the seat's beat and the driver's, which all share."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.jobs = Lines(folder / "jobs")
        self.messages = Lines(folder / "messages")
        self.beat = Beat(folder / "beat")
        self.driver = Beat(folder.parent / "driver")
        self.ended = folder / "ended"


def serve(folder: str, setup: Mapping[str, object], environment: Mapping[str, str], logs: str) -> None:
    """Carries out the jobs of a mailbox until it is closed or gone, its driver is silent, or Slurm ends the job.

    In the last two cases the work under way saves its state first.
    """
    mailbox = Mailbox(Path(folder))
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR2):  # submitit has Slurm send the second before the time is over
        signal.signal(number, lambda number, frame: asked.append(number))
    worker = LocalWorker(WorkerSetup.from_json(setup), environment)
    with closing(LocalPool([worker], Path(logs), name=f"slurm-{mailbox.folder.name.removeprefix('seat-')}")) as pool:
        _listen(mailbox, pool, asked)
    with suppress(OSError):
        mailbox.ended.touch()


def _listen(mailbox: Mailbox, pool: LocalPool, asked: list[int]) -> None:
    host, busy, ending = socket.gethostname(), False, None
    while mailbox.folder.is_dir():
        mailbox.beat.strike(host)
        for line in mailbox.jobs.read():
            if line == CLOSE:
                return
            if line == INTERRUPT:
                pool.interrupt()
            else:
                pool.submit(Job.from_line(line))
                busy = True
        for message in pool.wait(LISTEN_SECONDS):
            mailbox.messages.append(message.to_line())
            busy = busy and not isinstance(message.event, JobEnd)
        mailbox.driver.heard()
        if ending is None and (asked or mailbox.driver.silent > SILENT_SECONDS):
            ending = time.monotonic()
            pool.interrupt()
        if ending is not None and (not busy or time.monotonic() - ending > SAVING_SECONDS):
            return
