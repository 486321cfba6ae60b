"""One set of bootstrap draws a task, and intervals of everything that is made of scores.

Owns the paired cluster bootstrap and BCa intervals. A cluster is drawn whole, with replacement, the same draw for
every end point of a task, so that differences need no draws of their own. Does not know contrasts or tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.metric_sums import Array
from regimen.errors import DataError
from regimen.study import EndPoint

RESAMPLES = 10_000
LEVEL = 0.95  # of every interval, each by itself
_MEMORY = 192 * 2**20  # bytes that one chunk of resamples may take
_EXACT = 2**24  # whole numbers up to here are exact in single precision
SAME = 1e-12  # draws closer than this, in units of the larger of 1 and the value, count as equal


@dataclass(frozen=True)
class Interval:
    """A confidence interval; `degenerate` where all draws are equal and it has no width."""

    low: float
    high: float
    degenerate: bool


@dataclass(frozen=True)
class Resampled:
    """A number made of scores: its value, its draws (resamples,), and what leaving out a cluster changes, per task.

    Numbers of one set of draws add, subtract and scale; draw b of one goes with draw b of the other. Tasks are
    independent samples.
    """

    point: float
    draws: Array
    changes: Mapping[str, Array]

    def __add__(self, other: Resampled) -> Resampled:
        changes = dict(self.changes)
        for task, change in other.changes.items():
            changes[task] = changes[task] + change if task in changes else change
        return Resampled(self.point + other.point, self.draws + other.draws, changes)

    def __mul__(self, factor: float) -> Resampled:
        changes = {task: factor * change for task, change in self.changes.items()}
        return Resampled(factor * self.point, factor * self.draws, changes)

    __rmul__ = __mul__

    def __sub__(self, other: Resampled) -> Resampled:
        return self + other * -1.0

    @property
    def se(self) -> float:
        """The bootstrap's standard error; 0 where all draws are equal."""
        return 0.0 if self._constant else float(self.draws.std(ddof=1))

    @property
    def _slack(self) -> float:
        return SAME * max(1.0, abs(self.point))

    @property
    def _constant(self) -> bool:
        return len(self.draws) < 2 or float(np.ptp(self.draws)) <= self._slack

    @property
    def acceleration(self) -> float:
        """BCa's a, by the jackknife over the clusters of all tasks.

        Efron and Tibshirani, An Introduction to the Bootstrap (1993), 14.15; for several samples 15.36, where each
        task's part is weighted by its own number of clusters.
        """
        cubes = squares = 0.0
        for change in self.changes.values():
            clusters = len(change)
            pull = (clusters - 1) * (change.mean() - change) / clusters
            cubes, squares = cubes + float((pull**3).sum()), squares + float((pull**2).sum())
        return cubes / (6 * squares**1.5) if squares > 0 else 0.0

    def interval(self, level: float = LEVEL, expanded: bool = True) -> Interval:
        """The BCa interval (Efron, Journal of the American Statistical Association 82, 1987).

        `expanded`: its quantiles are taken as far out as Student's t and the bootstrap's missing n/(n-1) ask for
        (Hesterberg, The American Statistician 69, 2015), without which it is too short for few clusters. Draws equal
        to the value count half in the bias correction, as in scipy.stats.bootstrap. Where no draw is on one side of
        the value, the correction is that of half a draw there.
        """
        from scipy.special import ndtr, ndtri

        if self._constant:
            return Interval(self.point, self.point, degenerate=True)
        above = int((self.draws > self.point + self._slack).sum())
        below = int((self.draws < self.point - self._slack).sum())
        count = len(self.draws)
        share = min(max((count + below - above) / (2 * count), 0.5 / count), 1 - 0.5 / count)
        bias, acceleration = float(ndtri(share)), self.acceleration
        far, ends = self._reach(level) if expanded else float(ndtri((1 + level) / 2)), []
        for quantile in (-far, far):
            shifted = bias + quantile
            room = 1 - acceleration * shifted
            ends.append(float(ndtr(bias + shifted / room)) if room > 0 else float(shifted > 0))
        low, high = np.quantile(self.draws, ends)
        return Interval(float(low), float(high), degenerate=False)

    def _reach(self, level: float) -> float:
        """The distance of the ends from the value in standard errors: t's quantile times sqrt(n / (n - 1))."""
        return reach(sum(len(change) for change in self.changes.values()), len(self.changes), level)


def reach(clusters: int, tasks: int = 1, level: float = LEVEL) -> float:
    """How many of the bootstrap's standard errors the ends of an interval lie from the value; inf for one cluster."""
    from scipy.special import stdtrit

    free = clusters - tasks
    return float(stdtrit(free, (1 + level) / 2)) * (clusters / free) ** 0.5 if free > 0 else float("inf")


def mean(numbers: Sequence[Resampled]) -> Resampled:
    """The mean of at least one number."""
    total = numbers[0]
    for number in numbers[1:]:
        total = total + number
    return total * (1 / len(numbers))


@dataclass(frozen=True)
class Bootstrap:
    """The draws of one task: `draws` (resamples, end points) and `changes` (clusters, end points) of the metric."""

    scores: TaskScores
    draws: Array
    changes: Array

    def value(self, end: EndPoint | str) -> Resampled:
        """An end point's metric, in its own units; raises DataError if it has no scores here."""
        place = self.scores.place(end)
        changes = {self.scores.task: self.changes[:, place]}
        return Resampled(float(self.scores.points[place]), self.draws[:, place], changes)

    def gain(self, of: EndPoint | str, against: EndPoint | str) -> Resampled:
        """The gain of `of` over `against`: their difference, turned so that up is better."""
        return (self.value(of) - self.value(against)) * self.scores.sign

    def half_widths(self, level: float = LEVEL) -> Array:
        """The half width of the interval of each pair's difference, (end points, end points), from its standard error.

        Such an interval lies evenly about the difference, where `Resampled.interval` bends with the draws; all pairs
        come from one covariance of the draws.
        """
        covariance = np.atleast_2d(np.cov(self.draws, rowvar=False))
        spread = np.diag(covariance)
        squares = spread[:, None] + spread[None, :] - 2 * covariance
        squares[squares < SAME * (spread[:, None] + spread[None, :])] = 0.0  # rounding, where draws are equal
        return reach(self.scores.clusters, level=level) * np.sqrt(squares)


def bootstrap(scores: TaskScores, seed: int, resamples: int = RESAMPLES) -> Bootstrap:
    """Draws of every end point of a task, a pure function of (seed, task, scores): no other task changes them.

    Counts are summed exactly; sums of real numbers are as reproducible as the machine's matrix product.
    """
    clusters, ends, width = scores.sums.shape
    summed = WeightedSums(scores.sums.reshape(clusters, -1))
    random = generator(seed, "bootstrap", scores.task)
    draws = np.empty((resamples, ends))
    for rows in chunks(resamples, clusters, ends * width):
        weights = _weights(random, rows.stop - rows.start, clusters)
        draws[rows] = scores.form.value(summed.of(weights).reshape(-1, ends, width))
    changes = changes_of(scores)
    if not (np.isfinite(draws).all() and np.isfinite(changes).all()):
        raise DataError(
            f"task {scores.task}: some resamples of its {clusters} clusters hold nothing to compute {scores.metric} "
            "from; evaluate more items"
        )
    return Bootstrap(scores, draws, changes)


def generator(seed: int, *names: str) -> np.random.Generator:
    """A generator of its own for each (seed, names), the same in every process."""
    digest = hashlib.sha256("/".join((str(seed), *names)).encode("utf-8")).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def chunks(rows: int, clusters: int, width: int) -> Iterator[slice]:
    """Slices of `rows` resamples, each small enough for memory; a resample has `clusters` weights, `width` sums."""
    step = max(1, _MEMORY // (8 * (2 * clusters + 4 * width)))
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


class WeightedSums:
    """Products of weights with columns of sums; equal columns are multiplied once, small whole ones in float32."""

    def __init__(self, columns: Array):
        places: dict[bytes, int] = {}
        turned = np.ascontiguousarray(columns.T)
        self._inverse = np.array([places.setdefault(column.tobytes(), len(places)) for column in turned], dtype=np.intp)
        _, first = np.unique(self._inverse, return_index=True)
        distinct = columns[:, first]
        whole = bool((distinct == np.rint(distinct)).all())
        bound = columns.shape[0] * np.abs(distinct).max(initial=0.0)
        self._columns = np.asarray(distinct, dtype=np.float32 if whole and bound < _EXACT else np.float64)

    def of(self, weights: NDArray[np.integer]) -> Array:
        """The weighted sums (rows, columns) for weights (rows, clusters) that add up to at most the clusters."""
        product = weights.astype(self._columns.dtype) @ self._columns
        return product.astype(np.float64)[:, self._inverse]


def _weights(random: np.random.Generator, rows: int, clusters: int) -> NDArray[np.int64]:
    """The draws of each cluster, (rows, clusters): multinomial."""
    drawn = random.integers(0, clusters, size=(rows, clusters)) + np.arange(rows)[:, None] * clusters
    return np.bincount(drawn.ravel(), minlength=rows * clusters).reshape(rows, clusters)


def changes_of(scores: TaskScores) -> Array:
    """The change when a cluster is left out, (clusters, end points); zeros where there is but one."""
    clusters, ends, width = scores.sums.shape
    changes = np.zeros((clusters, ends))
    if clusters > 1:
        total = scores.sums.sum(axis=0)
        for rows in chunks(clusters, 0, ends * width):
            changes[rows] = scores.form.value(total - scores.sums[rows]) - scores.points
    return changes
