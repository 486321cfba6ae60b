"""The mean change of each trained experiment against zero-shot, over the main tasks, with its interval.

Owns which tasks go into the mean: those of the unit that most main tasks have, and whose zero-shot score is there. An
experiment that lacks one of them has no mean, since means over other tasks could not be compared. Being the largest of
many flatters a mean; no verdict rests on one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.evidence import Evidence
from regimen.analysis.records import cut
from regimen.analysis.statistics.resampling import mean
from regimen.study import ZERO_SHOT
from regimen.study.margins import unit_of


@dataclass(frozen=True)
class MeanChange:
    """A mean change in `unit`, turned so that up is better, with its 95% interval over items."""

    mean: float
    low: float
    high: float
    unit: str
    tasks: Sequence[str]


def mean_changes(evidence: Evidence) -> dict[str, MeanChange]:
    """Experiment -> its mean change, for those that have a score on each of the tasks."""
    units = {task: unit_of(about.headline) for task, about in evidence.study.panel("main").items()}
    there = [task for task in units if evidence.state(ZERO_SHOT, task) == "there"]
    counts = Counter(units[task] for task in there)
    unit = max(counts, key=lambda name: counts[name], default="")
    tasks = [task for task in there if units[task] == unit]
    found = {}
    for name in evidence.trained if tasks else ():
        gains = [gain for task in tasks if (gain := evidence.gain(name, ZERO_SHOT, task)) is not None]
        if len(gains) == len(tasks):
            over = mean(gains)
            interval = over.interval()
            found[name] = cut(MeanChange(over.point, interval.low, interval.high, unit, tasks))
    return found
