"""The outcome that a stage writes, with the digests by which later readers know that it is whole.

Owns the outcome's JSON. Does not know folders.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from regimen.digests import combined
from regimen.results.facts import F, Facts, Machine, PreparedFacts, parse_facts

Status = Literal["done", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """A finished stage: its facts (metrics, counts, digests), its machine, start and end (seconds since 1970).

    `files` are the SHA-256 digests of the files that it left behind, `inputs` those of what it read: files of its
    sources and its base by name, stages that it builds on by fingerprint. Earlier versions recorded neither.
    """

    fingerprint: str
    kind: str
    label: str
    status: Status
    started: float
    ended: float
    facts: Facts
    where: Machine = field(default_factory=Machine)
    files: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Wall-clock time; never negative, though clocks are set back."""
        return max(0.0, self.ended - self.started)

    @property
    def content(self) -> str:
        """A digest of what later stages use of the result, "" where none was recorded; the same again for the same."""
        if isinstance(self.facts, PreparedFacts):
            return self.facts.digest
        return combined(self.files.items()) if self.files else ""

    def to_json(self) -> dict[str, object]:
        """As plain values; "digest" is of all the others, so that a flipped bit is noticed."""
        plain = self._plain()
        return {**plain, "digest": _digest(plain)}

    def _plain(self) -> Mapping[str, object]:
        return {
            "fingerprint": self.fingerprint,
            "kind": self.kind,
            "label": self.label,
            "status": self.status,
            "started": self.started,
            "ended": self.ended,
            "where": self.where.to_json(),
            "facts": self.facts.to_json(),
            "files": self.files,
            "inputs": self.inputs,
        }

    @staticmethod
    def from_json(plain: Any) -> Outcome:
        """The outcome that `to_json`, or an earlier version, wrote; raises ValueError and its like."""
        given = plain.get("digest")
        if given is not None and given != _digest({key: value for key, value in plain.items() if key != "digest"}):
            raise ValueError("it has changed since it was written")
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
            files=_texts(plain.get("files", {})),
            inputs=_texts(plain.get("inputs", {})),
        )


def facts_of(outcomes: Mapping[str, Outcome], stage: str | None, kind: type[F]) -> F | None:
    """The facts of a stage among `outcomes` (by fingerprint), if it is there and of this kind; else None."""
    outcome = outcomes.get(stage) if stage else None
    return outcome.facts if outcome is not None and isinstance(outcome.facts, kind) else None


def _digest(plain: Mapping[str, object]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(digest) for name, digest in value.items()}


class Stopwatch:
    """Wall clock for the start, a clock that nobody sets for the time since."""

    def __init__(self) -> None:
        self.started = time.time()
        self._begun = time.monotonic()

    @property
    def ended(self) -> float:
        """Now, on the wall clock as it was at the start."""
        return self.started + time.monotonic() - self._begun


def differences(one: Any, other: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """The leaves in which two plain values differ: (path, value in one, value in the other)."""
    if isinstance(one, dict) and isinstance(other, dict):
        changes = []
        for key in sorted(one.keys() | other.keys()):
            changes += differences(one.get(key), other.get(key), f"{path}.{key}" if path else key)
        return changes
    return [] if one == other else [(path, one, other)]
