"""Where a stage runs, as plain facts: what a driver sends to a worker. Loads nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """The plain facts of where: what a driver sends to a worker."""

    stages: str
    cache: str
    data: str | None = None
    here: str | None = None
    device: str = "cpu"
    threads: int | None = None
    checkpoint_seconds: float = 60.0
    pass_tokens: int | None = None
    compiled: bool = False
    skip_missing: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)
