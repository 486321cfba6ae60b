"""The mean change of each trained recipe against zero-shot, over the main tasks, with its interval.

Owns which tasks go into the mean: those of the unit that most main tasks have, and whose zero-shot score is there. A
recipe that lacks one of them has no mean, since means over other tasks could not be compared. Being the largest of
many flatters a mean; no verdict rests on one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.evidence import Evidence
from regimen.analysis.over_runs import first_runs, gain_over_runs, run_names
from regimen.analysis.records import cut
from regimen.study import ZERO_SHOT
from regimen.study.margins import unit_of


@dataclass(frozen=True)
class MeanChange:
    """A mean change in `unit` over `runs` of a recipe, turned so that up is better, with its 95% interval.

    The interval is over items, and over seeds where any recipe was trained with several.
    """

    mean: float
    low: float
    high: float
    unit: str
    tasks: Sequence[str]
    runs: int = 1


def mean_changes(evidence: Evidence) -> dict[str, MeanChange]:
    """First run of a recipe -> the recipe's mean change, for those that have a score on each of the tasks."""
    units = {task: unit_of(about.headline) for task, about in evidence.study.panel("main").items()}
    there = [task for task in units if evidence.state(ZERO_SHOT, task) == "there"]
    counts = Counter(units[task] for task in there)
    unit = max(counts, key=lambda name: counts[name], default="")
    tasks = [task for task in there if units[task] == unit]
    found = {}
    for name in first_runs(evidence, evidence.trained) if tasks else ():
        if not run_names(evidence, name, tasks):
            continue
        over = gain_over_runs(evidence, name, {task: 1 / len(tasks) for task in tasks})
        if over is not None:
            interval = over.number.interval()
            found[name] = cut(MeanChange(over.number.point, interval.low, interval.high, unit, tasks, over.runs))
    return found
