"""Ranks strategies, and measures how sure the rank is over other items and other tasks.

Owns ranks of mean gains under joint draws. Does not know what a strategy is: a name with a gain on every task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from regimen.analysis.statistics.metric_sums import Array
from regimen.analysis.statistics.resampling import Resampled, generator
from regimen.errors import DataError


@dataclass(frozen=True)
class Ranked:
    """A strategy's mean gain over the tasks and its rank, 1 being best, each with a percentile interval.

    `first` is the share of resamples in which it is first; a tie counts as a share for each. `worst_task` is where
    it gains least, `worst_gain` how much.
    """

    name: str
    mean_gain: float
    gain_low: float
    gain_high: float
    rank: float
    rank_low: float
    rank_high: float
    first: float
    worst_task: str
    worst_gain: float


def rank(gains: Mapping[str, Mapping[str, Resampled]], seed: int, level: float = 0.95) -> list[Ranked]:
    """Ranks strategies by their mean gain over tasks (task -> strategy -> gain), best first.

    Items are resampled within tasks by the gains' own draws, and the tasks are drawn with replacement besides, so
    the answer is for other tasks like these. Raises DataError if a strategy lacks a task.
    """
    from scipy.stats import rankdata

    tasks = sorted(gains)
    if not tasks:
        raise DataError("there is no task to rank strategies on")
    names = list(gains[tasks[0]])
    for task in tasks:
        if lacking := set(names) ^ set(gains[task]):
            raise DataError(f"{min(lacking)} lacks a gain on some of the tasks {', '.join(tasks)}; rank without it")
    points = np.array([[gains[task][name].point for name in names] for task in tasks])
    draws = np.stack([np.stack([gains[task][name].draws for name in names], axis=1) for task in tasks], axis=1)
    weights = generator(seed, "tasks").multinomial(len(tasks), [1 / len(tasks)] * len(tasks), size=len(draws))
    means = np.einsum("bt,bts->bs", weights / len(tasks), draws)
    ranks, order = rankdata(-means, axis=1), rankdata(-points.mean(axis=0))
    leads = means == means.max(axis=1, keepdims=True)
    first = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    found = [
        Ranked(
            name,
            float(points[:, place].mean()),
            *_ends(means[:, place], level),
            float(order[place]),
            *_ends(ranks[:, place], level),
            float(first[place]),
            tasks[int(points[:, place].argmin())],
            float(points[:, place].min()),
        )
        for place, name in enumerate(names)
    ]
    return sorted(found, key=lambda ranked: (ranked.rank, ranked.name))


def _ends(draws: Array, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
