"""What a stage leaves behind: a folder with its spec, its outcome, and a marker that is written last.

Owns the folder's files and the order in which they appear. A stage is done if and only if its marker says so. Does
not know what the stage did.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from regimen.errors import RunFolderError
from regimen.files import drop_unfinished, write_json, write_once
from regimen.plan import Stage
from regimen.results import layout
from regimen.results.facts import F, Facts, Machine, parse_facts

Status = Literal["done", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: its facts (metrics, counts, digests), what ran it and when (seconds since 1970)."""

    fingerprint: str
    kind: str
    label: str
    status: Status
    started: float
    ended: float
    facts: Facts
    where: Machine = field(default_factory=Machine)

    @property
    def seconds(self) -> float:
        """Wall-clock time; never negative, though clocks are set back."""
        return max(0.0, self.ended - self.started)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "fingerprint": self.fingerprint,
            "kind": self.kind,
            "label": self.label,
            "status": self.status,
            "started": self.started,
            "ended": self.ended,
            "where": self.where.to_json(),
            "facts": self.facts.to_json(),
        }

    @staticmethod
    def from_json(plain: Any) -> Outcome:
        """The outcome that `to_json`, or an earlier version, wrote; raises ValueError, KeyError or TypeError."""
        if plain["status"] not in ("done", "skipped"):
            raise ValueError(f"status is {plain['status']!r}")
        return Outcome(
            fingerprint=str(plain["fingerprint"]),
            kind=str(plain["kind"]),
            label=str(plain["label"]),
            status=plain["status"],
            started=float(plain["started"]),
            ended=float(plain["ended"]),
            facts=parse_facts(plain["kind"], plain["facts"]),
            where=Machine.model_validate(plain["where"]),
        )


def facts_of(outcomes: Mapping[str, Outcome], stage: str | None, kind: type[F]) -> F | None:
    """The facts of a stage among `outcomes` (by fingerprint), if it is there and of this kind; else None."""
    outcome = outcomes.get(stage) if stage else None
    return outcome.facts if outcome is not None and isinstance(outcome.facts, kind) else None


class Stopwatch:
    """Wall clock for the start, a clock that nobody sets for the time since."""

    def __init__(self) -> None:
        self.started = time.time()
        self._begun = time.monotonic()

    @property
    def ended(self) -> float:
        """Now, on the wall clock as it was at the start."""
        return self.started + time.monotonic() - self._begun


class StageFolder:
    """One stage's folder inside a run folder."""

    def __init__(self, stages: Path, stage: Stage):
        self.stage = stage
        self.path = stages / stage.folder

    @property
    def done(self) -> bool:
        """Whether the stage's result is complete."""
        return (self.path / layout.MARKER).is_file()

    def open(self) -> Path:
        """Creates the folder with its spec, or checks the spec of one that is there; raises RunFolderError."""
        self.path.mkdir(parents=True, exist_ok=True)
        spec = self.path / layout.SPEC
        payload = {"identity": self.stage.identity, "spec": self.stage.model_dump(mode="json")}
        if spec.is_file():
            _check_same(spec, payload["identity"])
        else:
            write_json(spec, payload)
        return self.path

    def commit(self, outcome: Outcome) -> bool:
        """Writes the outcome, then the marker; False, and nothing changed, if the stage was committed before.

        That can be when a worker that was thought lost was only cut off: both have the same result, one commits it.
        """
        if self.done:
            return False
        write_json(self.path / layout.OUTCOME, outcome.to_json())
        first = write_once(self.path / layout.MARKER, f"{outcome.status}\n")
        drop_unfinished(self.path)
        return first

    def reopen(self) -> None:
        """Takes the marker away: the stage is to be done again."""
        (self.path / layout.MARKER).unlink(missing_ok=True)

    def outcome(self) -> Outcome | None:
        """The outcome of a done stage, else None; raises RunFolderError if a done stage's outcome is damaged."""
        if not self.done:
            return None
        return read_outcome(self.path)


def read_outcome(folder: Path) -> Outcome:
    """The outcome in a stage folder; raises RunFolderError if it is missing or damaged."""
    try:
        return Outcome.from_json(json.loads((folder / layout.OUTCOME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as fault:
        raise RunFolderError(
            f"the outcome in {folder} is damaged ({fault}); delete that folder and run again"
        ) from None


def _check_same(spec: Path, identity: Mapping[str, Any]) -> None:
    try:
        found = json.loads(spec.read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError) as fault:
        raise RunFolderError(f"{spec} is damaged ({fault}); delete its folder and run again") from None
    wanted = json.loads(json.dumps(identity))
    if found != wanted:
        fields = ", ".join(f"{name}: {old!r} there, {new!r} here" for name, old, new in differences(found, wanted))
        raise RunFolderError(f"{spec.parent} holds another stage ({fields}); use another --out")


def differences(one: Any, other: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """The leaves in which two plain values differ: (path, value in one, value in the other)."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for key in sorted(one.keys() | other.keys()):
            found += differences(one.get(key), other.get(key), f"{path}.{key}" if path else key)
        return found
    return [] if one == other else [(path, one, other)]
