"""Significance: p-values of contrasts and their corrections.

Owns the choice of the test, the swapping of labels within clusters, the flipping of influences, and Holm's and
Benjamini's corrections. Does not know intervals. The null hypothesis and what it assumes: docs/decisions/statistics.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.metric_sums import Array
from regimen.analysis.statistics.resampling import SAME, WeightedSums, changes_of, chunks, generator
from regimen.errors import DataError, UsageError
from regimen.study import EndPoint, Pair

SWAPS = 19_999  # so that the smallest p-value, 1/20,000, is below 0.05/620, the strictest step over the whole grid
_ADDED = 4  # clusters that widen the flips
Correction = Literal["holm", "benjamini-hochberg", "benjamini-yekutieli"]
_SCIPY: dict[Correction, Literal["bh", "by"]] = {"benjamini-hochberg": "bh", "benjamini-yekutieli": "by"}


@dataclass(frozen=True)
class PValue:
    """A two-sided p-value, the test it is from, and in how many clusters the two sides differ at all.

    `spread`: the standard deviation of the contrast under the null hypothesis, where the test is by swaps.
    """

    p: float
    test: str
    differing: int
    spread: float | None = None


def p_values(
    contrasts: Mapping[str, Sequence[Pair]], scores: Mapping[str, TaskScores], seed: int, swaps: int = SWAPS
) -> dict[str, PValue]:
    """The p-value of each contrast (id -> pairs); `scores` holds the tasks.

    One pair of 0/1 scores without clusters: exact McNemar. Else the labels `of` and `against` are swapped within
    clusters, in all pairs of the contrast at once: in every way if there are at most `swaps` + 1 of them, else in
    `swaps` random ways, the same for every contrast on a task. Metrics that divide by predictions (`Sums.is_linear`)
    have the signs of clusters' influences flipped in place of random swaps, by the same coins. Raises DataError if an
    end point or task is missing.
    """
    found: dict[str, PValue] = {}
    drawn: dict[str, int] = {}
    for name, pairs in contrasts.items():
        if not pairs:
            raise DataError(f"contrast {name} has no pairs, so there is nothing to test")
        if is_mcnemar(pairs, scores):
            found[name] = _mcnemar(pairs[0], scores[pairs[0].task])
            continue
        apart = {task: differing(scores_of(task, scores), pairs) for task in sorted({p.task for p in pairs})}
        count = sum(int(mask.sum()) for mask in apart.values())
        if count < (swaps + 1).bit_length():
            p, spread = _all_swaps(pairs, scores, apart)
            found[name] = PValue(p, "all swaps of clusters", count, spread)
        else:
            drawn[name] = count
    surprises = _random_swaps({name: contrasts[name] for name in drawn}, scores, seed, swaps)
    for name, (p, spread) in surprises.items():
        found[name] = PValue(p, _named(contrasts[name], scores, swaps), drawn[name], spread)
    return {name: found[name] for name in contrasts}


def _named(pairs: Sequence[Pair], scores: Mapping[str, TaskScores], swaps: int) -> str:
    """The random test of a contrast in words."""
    linear = {scores[pair.task].form.is_linear for pair in pairs}
    what = "swaps and flips" if len(linear) > 1 else "swaps" if True in linear else "flips"
    return f"{swaps:,} random {what} of clusters"


def adjusted(p: Sequence[float], correction: Correction, declared: int | None = None) -> list[float]:
    """The p-values after a correction for `declared` tests (default: those given).

    A declared contrast that could not be tested counts as one with p = 1. Raises UsageError if more are given than
    were declared.
    """
    from scipy.stats import false_discovery_control

    family = len(p) if declared is None else declared
    if family < len(p):
        raise UsageError(f"{len(p)} p-values of {family} declared tests; declare all of them")
    if not p:
        return []
    padded = np.array([*p, *[1.0] * (family - len(p))])
    corrected = _holm(padded) if correction == "holm" else false_discovery_control(padded, method=_SCIPY[correction])
    return [float(value) for value in corrected[: len(p)]]


def _holm(p: Array) -> Array:
    """Holm's step-down p-values (Scandinavian Journal of Statistics 6, 1979); tests hold them to statsmodels'."""
    order = np.argsort(p, kind="stable")
    steps = np.arange(len(p), 0, -1) * p[order]
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def scores_of(task: str, scores: Mapping[str, TaskScores]) -> TaskScores:
    """A task's scores; raises DataError if there are none."""
    if task not in scores:
        raise DataError(f"there are no scores on task {task}; evaluate it before comparing")
    return scores[task]


def is_mcnemar(pairs: Sequence[Pair], scores: Mapping[str, TaskScores]) -> bool:
    """True if a contrast is one pair of 0/1 scores, each item a cluster of its own."""
    return len(pairs) == 1 and scores_of(pairs[0].task, scores).is_binary


def discordant(pair: Pair, scores: TaskScores) -> tuple[int, int]:
    """Of 0/1 scores, on how many items only `of` is right and on how many only `against` is."""
    right = scores.sums[:, [scores.place(pair.of), scores.place(pair.against)], 1] > 0
    return int((right[:, 0] & ~right[:, 1]).sum()), int((right[:, 1] & ~right[:, 0]).sum())


def _mcnemar(pair: Pair, scores: TaskScores) -> PValue:
    from scipy.special import bdtr

    ahead, behind = discordant(pair, scores)
    p = min(1.0, 2 * float(bdtr(min(ahead, behind), ahead + behind, 0.5))) if ahead + behind else 1.0
    return PValue(p, "exact McNemar", ahead + behind)


def _places(scores: TaskScores, pairs: Sequence[Pair]) -> tuple[list[int], list[int]]:
    return [scores.place(pair.of) for pair in pairs], [scores.place(pair.against) for pair in pairs]


def differing(scores: TaskScores, pairs: Sequence[Pair]) -> NDArray[np.bool_]:
    """In which clusters, (clusters,), some pair on this task differs."""
    of, against = _places(scores, [pair for pair in pairs if pair.task == scores.task])
    return (scores.sums[:, of] != scores.sums[:, against]).any(axis=(1, 2))


@dataclass(frozen=True)
class _Swapper:
    """The gains of pairs on one task when their labels are swapped in some clusters."""

    scores: TaskScores
    pairs: Sequence[Pair]
    clusters: NDArray[np.bool_]  # those in which something can be swapped

    def gains(self, swapped: NDArray[np.integer], summed: WeightedSums) -> Array:
        """(rows, pairs) for `swapped` (rows, those clusters): 1 where the labels are exchanged."""
        of, against = _places(self.scores, self.pairs)
        total, value = self.scores.sums.sum(axis=0), self.scores.form.value
        moved = summed.of(swapped).reshape(len(swapped), len(self.pairs), -1)
        return self.scores.sign * (value(total[of] - moved) - value(total[against] + moved))

    def summed(self) -> WeightedSums:
        of, against = _places(self.scores, self.pairs)
        moves = self.scores.sums[self.clusters][:, of] - self.scores.sums[self.clusters][:, against]
        return WeightedSums(moves.reshape(len(moves), moves.shape[1] * moves.shape[2]))

    def influences(self) -> Array:
        """(clusters, pairs): each cluster's own part of the gain by the jackknife; their mean is the gain.

        Widened as if four clusters without a difference were added, since few clusters show too little of their spread:
        without it, 5% is 6 to 8% at 44 clusters.
        """
        ends = list(dict.fromkeys(end for pair in self.pairs for end in (str(pair.of), str(pair.against))))
        places = [self.scores.place(end) for end in ends]
        changes = changes_of(replace(self.scores, names=tuple(ends), sums=self.scores.sums[:, places]))
        of, against = ([ends.index(str(end)) for end in side] for side in zip(*map(_ends, self.pairs), strict=True))
        moved, clusters = self.scores.sign * (changes[:, of] - changes[:, against]), len(changes)
        own = self.observed() + (clusters - 1) * (moved.mean(axis=0) - moved)
        return own * (clusters + _ADDED) / clusters

    def observed(self) -> Array:
        """The gains as they are, (pairs,)."""
        of, against = _places(self.scores, self.pairs)
        return self.scores.sign * (self.scores.points[of] - self.scores.points[against])


def _ends(pair: Pair) -> tuple[EndPoint, EndPoint]:
    return pair.of, pair.against


def _slack(pairs: Sequence[Pair], scores: Mapping[str, TaskScores]) -> float:
    """Differences smaller than this are rounding, so a swap that gives back the observed contrast counts."""
    largest = max(float(np.abs(scores[pair.task].points).max()) for pair in pairs)
    return SAME * max(1.0, largest)


def _all_swaps(
    pairs: Sequence[Pair], scores: Mapping[str, TaskScores], differing: Mapping[str, NDArray[np.bool_]]
) -> tuple[float, float]:
    """(p, spread)."""
    count = sum(int(mask.sum()) for mask in differing.values())
    ways = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    null, observed, start = np.zeros(len(ways)), 0.0, 0
    for task, mask in differing.items():
        swapper = _Swapper(scores[task], [pair for pair in pairs if pair.task == task], mask)
        stop = start + int(mask.sum())
        null += swapper.gains(ways[:, start:stop], swapper.summed()).sum(axis=1)
        observed += float(swapper.observed().sum())
        start = stop
    p = float((np.abs(null) >= abs(observed) - len(pairs) * _slack(pairs, scores)).mean())
    return p, float(null.std()) / len(pairs)


def _random_swaps(
    contrasts: Mapping[str, Sequence[Pair]], scores: Mapping[str, TaskScores], seed: int, swaps: int
) -> dict[str, tuple[float, float]]:
    """(p, spread), p by the rule (count + 1) / (swaps + 1) (Phipson and Smyth 2010), which never gives 0."""
    null = {name: np.zeros(swaps) for name in contrasts}
    observed = dict.fromkeys(contrasts, 0.0)
    for task in sorted({pair.task for pairs in contrasts.values() for pair in pairs}):
        pairs = list(dict.fromkeys(pair for group in contrasts.values() for pair in group if pair.task == task))
        swapper = _Swapper(scores[task], pairs, np.ones(scores[task].clusters, dtype=np.bool_))
        gains, points = _swapped(swapper, seed, swaps), swapper.observed()
        for name, group in contrasts.items():
            for pair in group:
                if pair.task == task:
                    null[name] += gains[:, pairs.index(pair)]
                    observed[name] += float(points[pairs.index(pair)])
    found = {}
    for name, group in contrasts.items():
        edge = abs(observed[name]) - len(group) * _slack(group, scores)
        p = (1 + int((np.abs(null[name]) >= edge).sum())) / (swaps + 1)
        found[name] = p, float(null[name].std()) / len(group)
    return found


def _swapped(swapper: _Swapper, seed: int, swaps: int) -> Array:
    """The pairs' gains, (swaps, pairs), when each cluster's labels are swapped by the toss of a coin.

    Where the metric is not linear, the signs of clusters' influences are flipped by the same coins. Swaps would mix the
    classes of a model that always says the same, and macro-F1 would spread half as wide again as it does.
    """
    clusters, _, width = swapper.scores.sums.shape
    random = generator(seed, "swaps", swapper.scores.task)
    own = None if swapper.scores.form.is_linear else swapper.influences() / clusters
    summed = swapper.summed()
    gains = np.empty((swaps, len(swapper.pairs)))
    for rows in chunks(swaps, clusters, 2 * len(swapper.pairs) * width):
        coins = random.integers(0, 2**32, size=(rows.stop - rows.start, -(-clusters // 32)), dtype=np.uint32)
        swapped = np.unpackbits(coins.astype("<u4").view(np.uint8), axis=1, count=clusters)
        gains[rows] = swapper.gains(swapped, summed) if own is None else (1.0 - 2.0 * swapped) @ own
    return gains
