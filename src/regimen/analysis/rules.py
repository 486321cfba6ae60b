"""The rules that contrasts are judged by, for one whole run: every verdict, mark and detectable effect uses them."""

from __future__ import annotations

from dataclasses import dataclass

from regimen.analysis.statistics.resampling import RESAMPLES
from regimen.analysis.statistics.significance import SWAPS
from regimen.plan.detectable import ALPHA, POWER


@dataclass(frozen=True)
class Rules:
    """The rules by which contrasts are judged.

    `alpha` is the family-wise error of the declared contrasts and the false discovery rate of the exploratory grid;
    `declared` is how many tests share it (default: those compared). `power` is that of the detectable effects.
    """

    seed: int
    declared: int | None = None
    alpha: float = ALPHA
    power: float = POWER
    resamples: int = RESAMPLES
    swaps: int = SWAPS
