"""The result of generation, by whichever loop. Knows nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Stops = Callable[[Sequence[int]], bool]
Ending = Literal["end", "stop", "length", "not finite"]


@dataclass
class Continuation:
    """The continuation of a prompt, and its end: an end token (left out), the caller's stop, the limit on
    new tokens, or a logit that was not finite (nothing was chosen from it)."""

    ids: list[int] = field(default_factory=list)
    ending: Ending = "length"
