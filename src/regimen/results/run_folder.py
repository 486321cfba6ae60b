"""A run folder: its study, its stages, its lock.

Owns the layout of the folder and who may write to it. Does not know scheduling or reports.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from regimen.errors import RunFolderError, StudyError, UsageError
from regimen.files import write_atomically, write_json
from regimen.plan import CompileOptions, Plan, Stage
from regimen.results import layout
from regimen.results.outcomes import Outcome, StageFolder, differences
from regimen.study import Study, dump_study, load_study

FORMAT = 1
LOCK_TRIES = 5


class RunFolder:
    """`OUT` of the contract. Creating one touches nothing on disk; `create` does."""

    def __init__(self, out: Path):
        self.path = out
        self.stages = out / layout.STAGES
        self.report = out / layout.REPORT

    def create(self, study: Study, plan: Plan, settings: dict[str, Any]) -> None:
        """Makes the folder for this study, or checks that it is this study's; raises RunFolderError if not, and where
        the study cannot be read back as it is written."""
        before = self.study() if (self.path / layout.STUDY).is_file() else None
        if before is not None:
            _check_same_study(before, study, self.path)
        elif self.path.exists() and any(p for p in self.path.iterdir() if p.name != layout.LOCK):
            raise RunFolderError(f"{self.path} is not empty and not a run folder; choose another --out")
        self.path.mkdir(parents=True, exist_ok=True)
        _write_study(self.path / layout.STUDY, study)
        self.stages.mkdir(exist_ok=True)
        (self.path / layout.EXPERIMENTS).mkdir(exist_ok=True)
        write_json(self.path / layout.SETTINGS, {"format": FORMAT, "track": plan.track, **settings})

    def study(self) -> Study:
        """The study as resolved; raises RunFolderError where there is none."""
        path = self.path / layout.STUDY
        if not path.is_file():
            raise RunFolderError(f"{self.path} is no run folder: it has no {layout.STUDY}")
        return load_study(path)

    def settings(self) -> dict[str, Any]:
        """What the run was started with: track, tasks, cohort width and so on."""
        try:
            return json.loads((self.path / layout.SETTINGS).read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise RunFolderError(f"{self.path / layout.SETTINGS} cannot be read ({fault})") from None

    def compile_options(self) -> CompileOptions:
        """The options that the run's plan was compiled with; raises RunFolderError where they cannot be read."""
        try:
            return CompileOptions.from_json(self.settings()["compile"])
        except (KeyError, TypeError, UsageError) as fault:
            file = self.path / layout.SETTINGS
            raise RunFolderError(
                f"{file} does not say how the study was compiled ({fault!r}); run the study again"
            ) from None

    def folder(self, stage: Stage) -> StageFolder:
        """The folder of a stage."""
        return StageFolder(self.stages, stage)

    def outcome(self, stage: Stage) -> Outcome | None:
        """The outcome of a stage if it is done."""
        return self.folder(stage).outcome()

    def is_locked(self) -> bool:
        """Whether a driver holds the folder now."""
        path = self.path / layout.LOCK
        if not path.is_file():
            return False
        with path.open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for one driver; raises RunFolderError naming the holder."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / layout.LOCK).open("a+", encoding="utf-8") as file:
            if not _lock(file):
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise RunFolderError(f"{self.path} is in use by {holder}; wait for it or stop it") from None
            file.seek(0)
            file.truncate()
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {started}")
            file.flush()
            yield


def _write_study(path: Path, study: Study) -> None:
    """Writes the study, once it has been read back as it is; raises RunFolderError, nothing written, where it is not.

    A study that cannot be read back would lock its folder for good.
    """
    text = dump_study(study)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return

    def write(scratch: Path) -> None:
        scratch.write_text(text, encoding="utf-8")
        try:
            same = load_study(scratch) == study
        except StudyError as fault:
            faults = "; ".join(fault.faults)
            raise RunFolderError(f"the study would not be read back from its run folder: {faults}") from None
        if not same:
            raise RunFolderError("the study would be read back from its run folder as another; load it from a file")

    write_atomically(path, write)


def _lock(file: IO[str]) -> bool:
    """Takes the lock, in a few tries: one who asks for the status holds it for an instant."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            time.sleep(0.05)
    return False


def _check_same_study(before: Study, study: Study, path: Path) -> None:
    """A run folder belongs to one study, profile, seed and base; tasks and experiments may be added."""
    fixed = ("study", "profile", "seed", "data", "base", "adapter", "batch", "schedule")
    one, other = (s.model_dump(mode="json", include=set(fixed)) for s in (before, study))
    found = differences(one, other)
    if found:
        fields = "; ".join(f"{name} is {old!r} there and {new!r} here" for name, old, new in found[:4])
        raise RunFolderError(f"{path} belongs to another study: {fields}; choose another --out")
