"""The exploratory grid: every end point's headline score against zero-shot, task by task, with one correction for all.

Owns which cells are tests and their Benjamini-Hochberg correction. Does not know declared contrasts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regimen.analysis.evidence import Evidence
from regimen.analysis.statistics.resampling import Resampled
from regimen.analysis.statistics.significance import PValue, adjusted, p_values
from regimen.results.external import is_external
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
        zeros = {name: EndPoint.parse(evidence.zero_shot_name(name, task)) for name in scores.names}
        pairs = {
            name: [Pair(of=EndPoint.parse(name), against=zero, task=task)]
            for name, zero in zeros.items()
            if str(zero) != name and str(zero) in scores.names
        }
        found = p_values(pairs, {task: scores}, evidence.rules.seed, evidence.rules.swaps)
        tests |= {(end, task): p for end, p in found.items()}
    corrected: dict[tuple[str, str], float] = {}
    for others in (False, True):  # the answers of other systems change no p-value of the models
        family = {cell: test.p for cell, test in tests.items() if is_external(cell[0]) == others}
        corrected.update(zip(family, adjusted(list(family.values()), "benjamini-hochberg"), strict=True))
    cells: dict[tuple[str, str], GridCell] = {}
    for (end, task), test in tests.items():
        p = corrected[end, task]
        gain, scores = evidence.gain(end, ZERO_SHOT, task), evidence.scores(task)
        assert gain is not None
        assert scores is not None
        cells[end, task] = GridCell(
            gain, test.p, p, test.test, scores.items, scores.clusters, p <= evidence.rules.alpha
        )
    return cells
