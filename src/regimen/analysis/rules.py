"""The rules that contrasts are judged by, for one whole run: every verdict, mark and detectable effect uses them."""

from __future__ import annotations

from dataclasses import dataclass

from regimen.analysis.statistics.power import POWER
from regimen.analysis.statistics.resampling import RESAMPLES
from regimen.analysis.statistics.significance import SWAPS


@dataclass(frozen=True)
class Rules:
    """How contrasts are judged.

    `declared`: how many tests share `alpha` (default: those compared); `level` is that of each interval alone.
    """

    seed: int
    declared: int | None = None
    alpha: float = 0.05
    level: float = 0.95
    power: float = POWER
    resamples: int = RESAMPLES
    swaps: int = SWAPS
