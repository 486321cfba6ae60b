"""Every metric as a function of sums over items, so that thousands of resamples cost one matrix product.

Owns, for each metric of `study.metrics`, what an item adds and how the metric follows from the weighted sums; tests
hold both equal. Does not know resampling, end points or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regimen.errors import DataError
from regimen.results.metrics import Columns
from regimen.study.metrics import METRICS, better_sign, is_known

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Form:
    """The sums of a family of metrics.

    `columns` of the item rows it reads; `of` gives (items, d) from them and the labels; `value` gives (...) from
    (..., d); `labels` the label vocabulary, where there is one; `counted`: the first sum counts the scored items;
    `shared`: what is divided by is the items' own, whatever a model answers.
    """

    columns: tuple[str, ...]
    of: Callable[[Columns, tuple[str, ...]], Array]
    value: Callable[[Array], Array]
    labels: Callable[[Columns], set[str]] | None = None
    counted: bool = True
    mean: bool = False
    shared: bool = False


class Sums:
    """The sums that a metric is computed from.

    Weights are whole or not, and never negative. Raises DataError for a metric that is not known.
    """

    def __init__(self, metric: str):
        if not is_known(metric):
            raise DataError(f"no sums are known for metric {metric!r}; the metrics are {', '.join(METRICS)}")
        self.metric = metric
        self._form = _FORMS.get(metric) or _Form(("values",), _values_of(metric), _mean, mean=True)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the item rows that the metric reads."""
        return self._form.columns

    @property
    def sign(self) -> int:
        """+1 where more is better, -1 where less is."""
        return better_sign(self.metric)

    @property
    def is_mean(self) -> bool:
        """True if the metric is the mean of one number an item; its sums are then (items, total)."""
        return self._form.mean

    @property
    def is_linear(self) -> bool:
        """True if a model's answer to an item adds to the metric whatever its other answers are.

        So it is for means and likelihoods, and not where predictions are divided by.
        """
        return self._form.mean or self._form.shared

    def labels(self, rows: Iterable[Columns]) -> tuple[str, ...]:
        """The label vocabulary of several end points' rows, so that their sums have one layout; sorted."""
        if self._form.labels is None:
            return ()
        return tuple(sorted(set().union(*(self._form.labels(columns) for columns in rows))))

    def of(self, columns: Columns, labels: tuple[str, ...] | None = None) -> Array:
        """The addends of each item, (items, d); `labels` defaults to those of these rows."""
        return self._form.of(columns, self.labels([columns]) if labels is None else labels)

    def unscored(self, sums: Array) -> NDArray[np.bool_]:
        """A mask of the items without a value for the metric, (items,), given their addends."""
        missing = ~np.isfinite(sums).all(axis=-1)
        return np.asarray(missing | (sums[..., 0] == 0) if self._form.counted else missing)

    def value(self, sums: Array) -> Array:
        """The metric, (...), of weighted sums, (..., d); nan where there is nothing to compute it from."""
        return self._form.value(np.asarray(sums, dtype=np.float64))


def _ratio(above: Array, below: Array, empty: float) -> Array:
    """above / below, and `empty` where below is 0."""
    out = np.full(np.broadcast_shapes(above.shape, below.shape), empty)
    return np.divide(above, below, out=out, where=below != 0)


def _targets(columns: Columns) -> list[str]:
    return [str(value) for value in columns["target"]]


def _predictions(columns: Columns) -> list[str]:
    return [str(value) if value is not None else "" for value in columns["prediction"]]


def _mean(sums: Array) -> Array:
    return _ratio(sums[..., 1], sums[..., 0], math.nan)


def _right(columns: Columns, _: tuple[str, ...]) -> Array:
    pairs = zip(_targets(columns), _predictions(columns), strict=True)
    return np.array([(1.0, target == said) for target, said in pairs], dtype=np.float64).reshape(-1, 2)


def _values_of(name: str) -> Callable[[Columns, tuple[str, ...]], Array]:
    def of(columns: Columns, _: tuple[str, ...]) -> Array:
        found = [(1.0, dict(values).get(name, math.nan)) for values in columns["values"]]
        return np.array(found, dtype=np.float64).reshape(-1, 2)

    return of


def _one_hot(values: list[str], labels: tuple[str, ...]) -> Array:
    place = {label: index for index, label in enumerate(labels)}
    found = np.array([place.get(value, len(labels)) for value in values], dtype=np.int64)
    return (found[:, None] == np.arange(len(labels))).astype(np.float64)


def _confusion(columns: Columns, labels: tuple[str, ...]) -> Array:
    """The number of items, then per label: rightly predicted, predicted, wanted."""
    wanted, said = _one_hot(_targets(columns), labels), _one_hot(_predictions(columns), labels)
    return np.concatenate([np.ones((len(wanted), 1)), wanted * said, said, wanted], axis=1)


def _positive_confusion(columns: Columns, labels: tuple[str, ...]) -> Array:
    """The confusion of the one class that F1 is of: (items, right, predicted, wanted)."""
    return _confusion(columns, labels[:1]) if labels else np.zeros((len(columns["target"]), 4))


def _positive(columns: Columns) -> set[str]:
    """The class that F1 is of, as the rows name it."""
    return {str(name) for name in columns["positive"] if name}


def _target_labels(columns: Columns) -> set[str]:
    return set(_targets(columns))


def _all_labels(columns: Columns) -> set[str]:
    return set(_targets(columns)) | set(_predictions(columns))


def _macro(which: str) -> Callable[[Array], Array]:
    """The mean over the classes that are wanted; a class without a target has no recall and is left out."""

    def value(sums: Array) -> Array:
        right, said, wanted = np.split(sums[..., 1:], 3, axis=-1)
        if which == "f1":
            each = _ratio(2 * right, said + wanted, 0.0)
        else:
            each = _ratio(right, said if which == "precision" else wanted, 0.0)
        there = wanted > 0
        return _ratio((each * there).sum(axis=-1), there.sum(axis=-1), math.nan)

    return value


def _micro(which: str) -> Callable[[Array], Array]:
    """From (items, right, predicted, wanted)."""

    def value(sums: Array) -> Array:
        items, right, said, wanted = np.moveaxis(sums, -1, 0)
        below = {"precision": said, "recall": wanted, "f1": (said + wanted) / 2}[which]
        return np.where(items > 0, _ratio(right, below, 0.0), math.nan)

    return value


def _mcc(sums: Array) -> Array:
    """Gorodkin's K-category correlation (Computational Biology and Chemistry 28, 2004); 0 where it is undefined."""
    items = sums[..., 0]
    right, said, wanted = np.split(sums[..., 1:], 3, axis=-1)
    both = right.sum(axis=-1) * items - (said * wanted).sum(axis=-1)
    spread = (items**2 - (said**2).sum(axis=-1)) * (items**2 - (wanted**2).sum(axis=-1))
    return np.where(items > 0, _ratio(both, np.sqrt(np.maximum(spread, 0.0)), 0.0), math.nan)


def _counts(column: str, width: int) -> Callable[[Columns, tuple[str, ...]], Array]:
    """1 and the item's counts, or zeros where it has none."""

    def of(columns: Columns, _: tuple[str, ...]) -> Array:
        found = [(1.0, *row) if len(row) else (0.0,) * (width + 1) for row in columns[column]]
        return np.array(found, dtype=np.float64).reshape(-1, width + 1)

    return of


def _bleu(sums: Array) -> Array:
    """Corpus BLEU (Papineni et al. 2002), 0 to 1, exponential smoothing, n-grams as long as the references have.

    From (items, system length, reference length, matches of 1- to 4-grams, totals of them, totals of the references').
    An order without a match counts as 1 / (2^k total), k being how many such orders there have been; an order without
    n-grams in the system makes 0, one without n-grams in the references is left out.
    """
    items, system, reference = (sums[..., place] for place in range(3))
    matches, totals = sums[..., 3:7], sums[..., 7:11]
    brevity = np.exp(np.minimum(0.0, 1 - _ratio(reference, system, math.inf)))
    used = sums[..., 11:15] > 0
    unmatched = (matches == 0) & (totals > 0) & used
    smoothed = np.where(unmatched, 0.5 ** np.cumsum(unmatched, axis=-1), matches)
    scored = np.asarray(((matches > 0) & used).any(axis=-1) & ((totals > 0) | ~used).all(axis=-1))
    precisions = np.where(scored[..., None] & used, _ratio(smoothed, totals, 1.0), 1.0)
    order = np.maximum(used.sum(axis=-1), 1)
    value = np.minimum(brevity * np.exp(np.log(precisions).sum(axis=-1) / order), 1.0) * scored
    return np.where(items > 0, value, math.nan)


def _likelihood(size: str) -> Callable[[Columns, tuple[str, ...]], Array]:
    def of(columns: Columns, _: tuple[str, ...]) -> Array:
        pairs = [np.asarray(columns[name], dtype=np.float64) for name in ("nats", size)]
        return np.stack(pairs, axis=1)

    return of


def _bits(sums: Array) -> Array:
    return _ratio(sums[..., 0] / math.log(2), sums[..., 1], math.nan)


def _perplexity(sums: Array) -> Array:
    with np.errstate(over="ignore"):  # too large for a float is infinite, and TaskScores refuses it by name
        return np.exp(_ratio(sums[..., 0], sums[..., 1], math.nan))


_BITS = _Form(("nats", "bytes"), _likelihood("bytes"), _bits, counted=False, shared=True)
_CLOSED = ("target", "prediction")
_ENTITIES = ("entity_counts",)
_FORMS: dict[str, _Form] = {
    "accuracy": _Form(_CLOSED, _right, _mean, mean=True),
    "macro-f1": _Form(_CLOSED, _confusion, _macro("f1"), _target_labels),
    "precision": _Form(_CLOSED, _confusion, _macro("precision"), _target_labels),
    "recall": _Form(_CLOSED, _confusion, _macro("recall"), _target_labels, shared=True),
    "f1": _Form((*_CLOSED, "positive"), _positive_confusion, _micro("f1"), _positive),
    "mcc": _Form(_CLOSED, _confusion, _mcc, _all_labels),
    "bleu": _Form(("bleu_counts",), _counts("bleu_counts", 14), _bleu),
    "entity-f1": _Form(_ENTITIES, _counts(*_ENTITIES, 3), _micro("f1")),
    "entity-precision": _Form(_ENTITIES, _counts(*_ENTITIES, 3), _micro("precision")),
    "entity-recall": _Form(_ENTITIES, _counts(*_ENTITIES, 3), _micro("recall"), shared=True),
    "answer-bits-per-byte": _BITS,
    "bits-per-byte": _BITS,
    "perplexity": _Form(("nats", "tokens"), _likelihood("tokens"), _perplexity, counted=False, shared=True),
}
