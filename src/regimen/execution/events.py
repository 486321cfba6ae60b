"""The events of a run: each change as a typed value, passed to one observer.

Owns these types. Does not know its observers, and imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from regimen.results import Outcome
from regimen.stages.messages import Progress

__all__ = ["AlreadyDone", "Note", "Observer", "Progress", "RunEvent", "StageChanged"]


@dataclass(frozen=True)
class AlreadyDone:
    """The first event of a run: the stages (fingerprints) that earlier runs have done."""

    stages: tuple[str, ...]


@dataclass(frozen=True)
class StageChanged:
    """A stage is now "pending", "running", "done", "failed" or "blocked"; with its outcome if it was just done."""

    stage: str
    state: str
    outcome: Outcome | None = None
    error: str | None = None


@dataclass(frozen=True)
class Note:
    """A sentence for the user."""

    text: str


RunEvent = AlreadyDone | StageChanged | Progress | Note
Observer = Callable[[RunEvent], None]
