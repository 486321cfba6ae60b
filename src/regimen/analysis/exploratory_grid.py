"""The exploratory grid: every end point's headline score against zero-shot, task by task, with one correction for all.

Owns which cells are tests and their Benjamini-Hochberg correction. Does not know declared contrasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regimen.analysis.evidence import Evidence
from regimen.analysis.statistics.resampling import Resampled
from regimen.analysis.statistics.significance import PValue, adjusted, p_values
from regimen.study import ZERO_SHOT, EndPoint, Pair


@dataclass(frozen=True)
class GridCell:
    """The difference of an end point to zero-shot on a task, up is better; `p_adjusted` over the whole grid.

    `clear`: `p_adjusted` is at most alpha, the false discovery rate of calling it a difference.
    """

    gain: Resampled
    p: float
    p_adjusted: float
    test: str
    items: int
    clusters: int
    clear: bool


Grid = Mapping[tuple[str, str], GridCell]  # by end point and task


def exploratory_grid(evidence: Evidence) -> Grid:
    """(end point, task) -> cell, for every end point that can be compared with zero-shot; zero-shot itself left out."""
    tests: dict[tuple[str, str], PValue] = {}
    for task in evidence.study.tasks:
        scores = evidence.scores(task)
        if scores is None or evidence.state(ZERO_SHOT, task) != "there":
            continue
        zero = evidence.settled(Pair(of=EndPoint.base(), against=EndPoint.base(), task=task)).of
        others = [end for end in map(EndPoint.parse, scores.names) if end != zero]
        pairs = {str(end): [Pair(of=end, against=zero, task=task)] for end in others}
        found = p_values(pairs, {task: scores}, evidence.rules.seed, evidence.rules.swaps)
        tests |= {(end, task): p for end, p in found.items()}
    corrected = adjusted([test.p for test in tests.values()], "benjamini-hochberg")
    cells: dict[tuple[str, str], GridCell] = {}
    for ((end, task), test), p in zip(tests.items(), corrected, strict=True):
        gain, scores = evidence.gain(end, ZERO_SHOT, task), evidence.scores(task)
        assert gain is not None
        assert scores is not None
        cells[end, task] = GridCell(
            gain, test.p, p, test.test, scores.items, scores.clusters, p <= evidence.rules.alpha
        )
    return cells
