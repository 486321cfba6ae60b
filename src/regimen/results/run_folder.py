"""A run folder: its study, its stages, its lock.

Owns the layout of the folder and who may write to it. Does not know scheduling or reports.
"""

from __future__ import annotations

import fcntl
import fnmatch
import itertools
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from regimen.digests import Digests, digest_of
from regimen.errors import RunFolderError, StudyError, UsageError
from regimen.files import write_atomically, write_json
from regimen.plan import CompileOptions, Plan, Stage
from regimen.results import layout
from regimen.results.outcomes import Outcome, differences
from regimen.results.stage_folder import StageFolder
from regimen.study import Study, dump_study, load_study

FORMAT = 1
AGAIN = "give the same `regimen run` command again: it writes the file again and repeats no work"
LOCK_TRIES = 5


@dataclass(frozen=True)
class Results:
    """A plan's outcomes in a run folder, and the reasons why some are damaged; both by stage fingerprint."""

    outcomes: dict[str, Outcome]
    damaged: dict[str, str]


class RunFolder:
    """`OUT` of the contract. Creating one touches nothing on disk; `create` does."""

    def __init__(self, out: Path):
        self.path = out
        self.stages = out / layout.STAGES
        self.report = out / layout.REPORT

    @cached_property
    def digests(self) -> Digests:
        """The digests of files that earlier calls have computed; the driver saves them."""
        return Digests(self.path / layout.DIGESTS)

    def create(self, study: Study, plan: Plan, settings: Mapping[str, Any]) -> None:
        """Makes the folder for this study, or checks that it is this study's; raises RunFolderError if not, and
        where the study cannot be read back as it is written.

        A folder that lost its study.yaml is taken up again if it holds stages of this plan. What earlier calls asked
        for is kept: a call with `--only` adds to it.
        """
        before = self._study_before(plan)
        if before is not None:
            _check_same_study(before, study, self.path)
        elif not self._is_free() and not self._holds_stages_of(plan):
            raise RunFolderError(f"{self.path} is not empty and not a run folder; choose another --out")
        if self.report.exists() and not self.report.is_dir():
            raise RunFolderError(f"{self.report} is a file where the report needs a folder; move it away")
        asked = self._asked_for(plan)
        self.path.mkdir(parents=True, exist_ok=True)
        _write_study(self.path / layout.STUDY, study)
        self.stages.mkdir(exist_ok=True)
        (self.path / layout.EXPERIMENTS).mkdir(exist_ok=True)
        about = {"format": FORMAT, "track": plan.track, "study_digest": digest_of(dump_study(study))}
        write_json(self.path / layout.SETTINGS, {**about, **settings, "compile": asked.to_json()})

    def _study_before(self, plan: Plan) -> Study | None:
        """The folder's study; None where it has none, or a damaged one that the stages of this plan stand in for."""
        if not (self.path / layout.STUDY).is_file():
            return None
        try:
            return self.study()
        except (StudyError, RunFolderError):
            if self._holds_stages_of(plan):
                return None
            raise

    def _is_free(self) -> bool:
        return not self.path.exists() or all(path.name == layout.LOCK for path in self.path.iterdir())

    def _holds_stages_of(self, plan: Plan) -> bool:
        return any(self.folder(stage).done for stage in plan.stages.values())

    def _asked_for(self, plan: Plan) -> CompileOptions:
        """The options of this plan, with the experiments and tasks that were asked for before by the same track."""
        now = plan.options
        try:
            before = self.compile_options()
        except RunFolderError:
            return now
        if before.track != now.track:
            return now
        only = _union(before.only, now.only, [experiment.id for experiment in plan.study.experiments])
        return replace(now, only=only, tasks=_union(before.tasks, now.tasks, list(plan.study.tasks)))

    def study(self) -> Study:
        """The study as resolved; raises RunFolderError where there is none."""
        path = self.path / layout.STUDY
        if not path.is_file():
            lost = f"; its stages are there: {AGAIN}" if self.stages.is_dir() else ""
            raise RunFolderError(f"{self.path} is no run folder: it has no {layout.STUDY}{lost}")
        try:
            digest = self.settings().get("study_digest")
        except RunFolderError:
            digest = None  # then the study must do without
        if digest is not None and digest != digest_of(path.read_text(encoding="utf-8", errors="replace")):
            raise RunFolderError(f"{path} is damaged: it has changed since it was written; {AGAIN}")
        return load_study(path, trust_code=True)  # reading a run folder runs nothing of it

    def settings(self) -> dict[str, Any]:
        """The options of the run; "compile" has those that its plan is compiled with.

        Raises RunFolderError where run.json is missing, damaged, or of a newer version.
        """
        path = self.path / layout.SETTINGS
        try:
            settings = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise RunFolderError(f"{path} cannot be read ({fault}); {AGAIN}") from None
        if not isinstance(settings, dict) or not isinstance(settings.get("compile"), dict):
            raise RunFolderError(f"{path} does not say how the study was compiled; {AGAIN}")
        unknown = settings["compile"].keys() - {field.name for field in fields(CompileOptions)}
        if settings.get("format", FORMAT) != FORMAT or unknown:
            more = f" (it has {sorted(unknown)[0]!r})" if unknown else ""
            raise RunFolderError(f"{path} was written by another version of regimen{more}; use that one, or {AGAIN}")
        return settings

    def compile_options(self) -> CompileOptions:
        """The options that the run's plan was compiled with; raises RunFolderError where they cannot be read."""
        try:
            return CompileOptions.from_json(self.settings()["compile"])
        except (KeyError, TypeError, UsageError) as fault:
            file = self.path / layout.SETTINGS
            raise RunFolderError(f"{file} does not say how the study was compiled ({fault}); {AGAIN}") from None

    def folder(self, stage: Stage) -> StageFolder:
        """The folder of a stage."""
        return StageFolder(self.stages, stage)

    def outcome(self, stage: Stage) -> Outcome | None:
        """The outcome of a stage if it is done and whole; raises RunFolderError if it is damaged."""
        return self.folder(stage).checked(self.digests)

    def read(self, plan: Plan) -> Results:
        """The outcomes of the plan's stages that are done and whole, and what is wrong with those that are damaged."""
        outcomes: dict[str, Outcome] = {}
        damaged: dict[str, str] = {}
        for name, stage in plan.stages.items():
            try:
                outcome = self.outcome(stage)
            except RunFolderError as fault:
                damaged[name] = str(fault)
                continue
            if outcome is not None:
                outcomes[name] = outcome
        return Results(outcomes, damaged)

    def trust(self, stage: Stage, outcome: Outcome) -> None:
        """Takes over the digests of a result that was committed just now."""
        folder = self.folder(stage).path
        for name, digest in outcome.files.items():
            with suppress(OSError):
                self.digests.trust(folder / name, digest)

    def set_aside(self, stage: Stage) -> Path:
        """Moves a stage's folder to OUT/set-aside, under its own name or that with a number; returns where it is."""
        folder = self.folder(stage).path
        home = self.path / layout.SET_ASIDE
        home.mkdir(exist_ok=True)
        to = next(
            to for n in itertools.count(1) if not (to := home / f"{folder.name}{f'.{n}' if n > 1 else ''}").exists()
        )
        folder.rename(to)
        return to

    def is_locked(self) -> bool:
        """True while a driver holds the folder."""
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
            same = load_study(scratch, trust_code=True) == study
        except StudyError as fault:
            faults = "; ".join(fault.faults)
            raise RunFolderError(f"the study would not be read back from its run folder: {faults}") from None
        if not same:
            raise RunFolderError("the study would change when it is read back from its run folder; load it from a file")

    write_atomically(path, write)


def _union(before: Sequence[str], now: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """Names or patterns of both, but earlier ones that fit nothing any more; nothing named means everything."""
    if not before or not now:
        return ()
    kept = [pattern for pattern in before if fnmatch.filter(known, pattern)]
    return tuple(dict.fromkeys((*kept, *now)))


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
    fields_apart = differences(one, other)
    if fields_apart:
        fields = "; ".join(f"{name} is {old!r} there and {new!r} here" for name, old, new in fields_apart[:4])
        raise RunFolderError(f"{path} belongs to another study: {fields}; choose another --out")
