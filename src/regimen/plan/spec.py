"""A stage of any kind: a label for people, a fingerprint of the literals that decide its result, and its inputs.

Owns the base of all kinds, and the versions by which results of earlier code are told apart. Does not know any kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

from regimen.plan.fingerprint import fingerprint
from regimen.study.values import Frozen

# Raised when a kind of stage would give other numbers for the same literals; old results are then not reused.
VERSIONS = {"prepare": 6, "items": 6, "adapter": 1, "train": 1, "evaluate": 5, "evaluate programs": 6, "choose": 1}


class Spec(Frozen, ABC):
    """A stage of any kind: a readable label, and a fingerprint of `identity`."""

    label: str

    @property
    @abstractmethod
    def identity(self) -> dict[str, object]:
        """The literals that decide what the stage's result is."""

    @cached_property
    def fingerprint(self) -> str:
        """12 hex digits that name the result."""
        return fingerprint(self.identity)

    @property
    def folder(self) -> str:
        """The stage's folder name, KIND-LABEL-HASH12."""
        return f"{self.identity['stage']}-{self.label}-{self.fingerprint}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Fingerprints of the stages that must be done before this one."""
        return ()
