"""One stage's folder: its spec, the files of its result, its outcome, and a marker that is written last.

Owns the order in which they appear, finding a folder by its stage's hash whatever its label, and what makes a result
whole: its own outcome, and every file as the outcome's digest says. A stage is done if and only if its marker stands.
Does not know what the stage did.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from regimen.digests import Digests
from regimen.errors import RunFolderError
from regimen.files import drop_unfinished, write_json, write_once
from regimen.plan import Stage
from regimen.results import layout
from regimen.results.outcomes import Outcome, differences

REMEDY = "run the same command again: it sets the folder aside and does the stage again"


class StageFolder:
    """One stage's folder inside a run folder.

    A stage that was done under another label, because its experiment was called otherwise, is found by its hash.
    """

    def __init__(self, stages: Path, stage: Stage):
        self.stage = stage
        self.path = stages / stage.folder
        if not self.path.is_dir():
            self.path = folders_by_hash(stages).get(stage.fingerprint, self.path)

    @property
    def done(self) -> bool:
        """True if the stage's result is complete."""
        return (self.path / layout.MARKER).is_file()

    def open(self) -> Path:
        """Creates the folder with its spec, or checks the spec of one that is there; raises RunFolderError."""
        self.path.mkdir(parents=True, exist_ok=True)
        spec = self.path / layout.SPEC
        if not spec.is_file():
            write_json(spec, self._spec())
            return self.path
        before = self.spec_identity()
        if before is None:
            raise RunFolderError(f"{spec} is damaged; {REMEDY}")
        wanted = json.loads(json.dumps(self.stage.identity))
        if before != wanted:
            fields = ", ".join(f"{name}: {old!r} there, {new!r} here" for name, old, new in differences(before, wanted))
            raise RunFolderError(f"{spec.parent} holds another stage ({fields}); use another --out")
        return self.path

    def _spec(self) -> Mapping[str, object]:
        return {"identity": self.stage.identity, "spec": self.stage.model_dump(mode="json")}

    def spec_identity(self) -> Any:
        """The identity in spec.json; None where the file is missing or damaged."""
        try:
            return json.loads((self.path / layout.SPEC).read_text(encoding="utf-8"))["identity"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def mend_spec(self) -> None:
        """Writes the spec of a whole result again where it is missing, damaged or another stage's."""
        if self.spec_identity() != json.loads(json.dumps(self.stage.identity)):
            write_json(self.path / layout.SPEC, self._spec())

    def commit(self, outcome: Outcome) -> bool:
        """Flushes the result's files to disk, writes the outcome with their digests, then the marker.

        False, and nothing changed, if the stage was committed before. That can be when a worker that was thought lost
        was only cut off: both have the same result, one commits it.
        """
        if self.done:
            return False
        digests = Digests()
        files = {path.name: _flushed(path, digests) for path in self.result_files()}
        write_json(self.path / layout.OUTCOME, replace(outcome, files=files).to_json())
        first = write_once(self.path / layout.MARKER, f"{outcome.status}\n")
        drop_unfinished(self.path)
        return first

    def result_files(self) -> list[Path]:
        """The files of the result: what is in the folder but its account and checkpoints."""
        return [
            path
            for path in sorted(self.path.iterdir())
            if path.is_file() and path.name not in layout.ABOUT and not path.name.startswith((".", layout.CHECKPOINT))
        ]

    def has_files(self) -> bool:
        """True if the folder holds anything but half-written files of a killed process."""
        return self.path.is_dir() and any(not path.name.startswith(".") for path in self.path.iterdir())

    def reopen(self) -> None:
        """Takes the marker away: the stage is to be done again."""
        (self.path / layout.MARKER).unlink(missing_ok=True)

    def outcome(self) -> Outcome | None:
        """The outcome of a done stage, else None; raises RunFolderError if it is damaged or another stage's."""
        return read_outcome(self.path, self.stage.fingerprint) if self.done else None

    def checked(self, digests: Digests) -> Outcome | None:
        """The outcome of a done stage whose files are all as they were written, else None; raises RunFolderError."""
        outcome = self.outcome()
        if outcome is not None:
            check_files(self.path, outcome, digests)
        return outcome


def check_files(folder: Path, outcome: Outcome, digests: Digests) -> None:
    """Raises RunFolderError if a file of a result is missing or has changed since it was written."""
    for name, digest in outcome.files.items():
        path = folder / name
        try:
            same = digests.of(path) == digest
        except OSError:
            raise RunFolderError(f"{path} is missing or cannot be read; {REMEDY}") from None
        if not same:
            raise RunFolderError(f"{path} is damaged: it has changed since it was written; {REMEDY}")


def read_outcome(folder: Path, fingerprint: str | None = None) -> Outcome:
    """The outcome in a stage folder; raises RunFolderError if it is missing, damaged or of another stage."""
    try:
        outcome = Outcome.from_json(json.loads((folder / layout.OUTCOME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise RunFolderError(f"the outcome in {folder} is damaged ({first}); {REMEDY}") from None
    if outcome.fingerprint != (fingerprint or layout.hash_of(folder.name)):
        raise RunFolderError(f"{folder} holds the outcome of another stage, {outcome.label}; {REMEDY}")
    return outcome


def _flushed(path: Path, digests: Digests) -> str:
    """The digest of a file that is on disk, whatever happens to the machine afterwards."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return digests.of(path)


_LISTED: dict[Path, tuple[int, dict[str, Path]]] = {}


def folders_by_hash(stages: Path) -> dict[str, Path]:
    """{fingerprint: folder} of what is there; of two folders with one hash a finished one."""
    try:
        changed = stages.stat().st_mtime_ns
    except OSError:
        return {}
    known = _LISTED.get(stages)
    if known is None or known[0] != changed:
        by_hash: dict[str, Path] = {}
        for folder in sorted(stages.iterdir()):
            name = layout.hash_of(folder.name)
            if name not in by_hash or not (by_hash[name] / layout.MARKER).is_file():
                by_hash[name] = folder
        _LISTED[stages] = known = (changed, by_hash)
    return known[1]
