"""Judged contrasts and thresholds made up for tests of verdicts, each of one outcome."""

from __future__ import annotations

from typing import Literal

from regimen.analysis.contrasts import Comparison
from regimen.analysis.declared_contrasts import JudgedContrast, Status
from regimen.analysis.least_amounts import Least
from regimen.analysis.rungs import Rung
from regimen.analysis.thresholds import Threshold
from regimen.study import Contrast


def went(group: str, what: str, mde: float | None = 0.1, runs: int = 1) -> JudgedContrast:
    """A contrast that went one way: "better", "worse", "equivalent", "undecided", "ruled out", or a status."""
    contrast = Contrast(id=f"{group}:{what}", title=what, group=group, pairs=())
    if what in ("not yet", "not identifiable"):
        status: Status = "not yet" if what == "not yet" else "not identifiable"
        return JudgedContrast.of(contrast, status, "nothing there")
    estimate, low, high, p = {
        "better": (0.2, 0.1, 0.3, 0.001),
        "worse": (-0.2, -0.3, -0.1, 0.001),
        "equivalent": (0.01, -0.05, 0.07, 0.7),
        "undecided": (0.08, -0.02, 0.18, 0.3),
        "ruled out": (-0.10, -0.22, 0.02, 0.1),  # a gain of the margin is ruled out, a loss is not
    }[what]
    numbers = (estimate, low, high, 0.05, p, p, 100, 100, "exact McNemar", mde, False, "", 0.05)
    return JudgedContrast.of(contrast, "tested", "", Comparison(*numbers, low + 0.01, high - 0.01, 0.08), runs=runs)


def entry(
    status: Literal["reached", "not reached", "undecided", "not yet", "not identifiable"], clear: bool = True
) -> Threshold:
    rung = Rung("x", 100, 0.05, None, 0.9, 0.85, 0.95, clear)
    reached = status == "reached"
    return Threshold(
        *("sst2", "accuracy", None, ()),
        reached_by=rung if reached else None,
        nearest=rung,
        steps_between=(50, 100) if reached else None,
        status=status,
        note="no figure",
        least=[Least("steps", 100, "x", 50, []), Least("gpu_hours", 0.05, "x", None, ["y"])] if reached else [],
    )
