"""The messages to the process that writes to trackers: frozen types, each with one form as a line of JSON.

Owns these types. Loads nothing heavy. Does not know trackers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class _Lined:
    def to_line(self) -> str:
        """As one line of JSON."""
        return json.dumps({"kind": type(self).__name__, **asdict(self)})


@dataclass(frozen=True)
class Begin(_Lined):
    """The first message: the trackers by name, the project, the folder for files of their own."""

    trackers: tuple[str, ...]
    project: str
    folder: str


@dataclass(frozen=True)
class Losses(_Lined):
    """A training ended: its series, and the file that holds the loss of each step."""

    series: str
    path: str


@dataclass(frozen=True)
class Scores(_Lined):
    """An evaluation ended: its series, its metrics, and the training step that it belongs to."""

    series: str
    scores: Mapping[str, float | None]
    step: int


TrackerMessage = Begin | Losses | Scores
_KINDS: dict[str, type[TrackerMessage]] = {kind.__name__: kind for kind in (Begin, Losses, Scores)}


def message_of(line: str) -> TrackerMessage:
    """The message that `to_line` wrote; raises ValueError, KeyError or TypeError for another line."""
    plain = json.loads(line)
    return _KINDS[plain.pop("kind")](**plain)
