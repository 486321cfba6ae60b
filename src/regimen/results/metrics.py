"""From items to a task's metrics, by the standard libraries.

Owns the aggregation of item rows (the columns of items.parquet) into metric values. Which metrics there are, and
which way each is better, is `study.metrics`' table. Does not know models, experiments or resampling.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Columns = Mapping[str, Sequence[Any]]


def aggregate(metrics: Sequence[str], columns: Columns) -> dict[str, float]:
    """Each metric over all items; nan where there is nothing to compute it from."""
    return {name: float(_function(name)(columns)) for name in metrics}


def _function(name: str) -> Callable[[Columns], float]:
    """Every metric that is a mean of items is computed alike, but for accuracy, whose rows may have weights."""
    return FUNCTIONS.get(name) or _mean_of(name)


def _labels(columns: Columns) -> tuple[list[str], list[str], list[str]]:
    """Targets, predictions ("" where there is none, which is always wrong), and the classes of the targets."""
    targets = [str(value) for value in columns["target"]]
    predictions = [str(value) if value is not None else "" for value in columns["prediction"]]
    return targets, predictions, sorted(set(targets))


def _weights(columns: Columns) -> np.ndarray | None:
    """The weight of each row; None where all weigh the same. Rows may stand for a share of an item (chance)."""
    return np.asarray(columns["weight"], dtype=float) if "weight" in columns else None


def _accuracy(columns: Columns) -> float:
    targets, predictions, _ = _labels(columns)
    right = [t == p for t, p in zip(targets, predictions, strict=True)]
    return float(np.average(right, weights=_weights(columns))) if targets else math.nan


def _macro(which: int) -> Callable[[Columns], float]:
    def metric(columns: Columns) -> float:
        from sklearn.metrics import precision_recall_fscore_support

        targets, predictions, classes = _labels(columns)
        if not targets:
            return math.nan
        options: Any = {"labels": classes, "average": "macro", "zero_division": 0.0}
        options["sample_weight"] = _weights(columns)
        values: Any = precision_recall_fscore_support(targets, predictions, **options)
        return float(values[which])

    return metric


def _binary_f1(columns: Columns) -> float:
    """F1 of the class that the column `positive` names on every row; nan where no row names one."""
    from sklearn.metrics import f1_score

    targets, predictions, _ = _labels(columns)
    positive = next((str(name) for name in columns.get("positive", ()) if name), None)
    if not targets or positive is None:
        return math.nan
    options: Any = {"labels": [positive], "average": None, "zero_division": 0.0}
    options["sample_weight"] = _weights(columns)
    values: Any = f1_score(targets, predictions, **options)
    return float(np.asarray(values)[0])


def _mcc(columns: Columns) -> float:
    from sklearn.metrics import matthews_corrcoef

    targets, predictions, _ = _labels(columns)
    if not targets:
        return math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns where only one class was predicted; the value is 0
        return float(matthews_corrcoef(targets, predictions, sample_weight=_weights(columns)))


def _mean_of(name: str) -> Callable[[Columns], float]:
    def metric(columns: Columns) -> float:
        numbers = [dict(values).get(name, math.nan) for values in columns["values"]]
        return float(np.mean(numbers)) if numbers else math.nan

    return metric


def _counts(columns: Columns, name: str) -> list[Sequence[float]]:
    """The counts of the items that have some; tables made before the two were kept apart call them `counts`."""
    return [row for row in columns[name if name in columns else "counts"] if len(row)]


def _bleu(columns: Columns) -> float:
    """Corpus BLEU on a scale of 0 to 1, by sacrebleu, from the items' summed counts (`answers.bleu_counts`).

    The n-grams are as long as the references allow, up to 4: so short answers can be scored, and no system is scored
    by shorter ones than another.
    """
    from sacrebleu.metrics.bleu import BLEU

    rows = _counts(columns, "bleu_counts")
    if not rows:
        return math.nan
    sums = [int(value) for value in np.sum(np.asarray(rows, dtype=float), axis=0)]
    order = sum(total > 0 for total in sums[10:14])
    if not order:
        return 0.0
    matches, totals = sums[2 : 2 + order], sums[6 : 6 + order]
    scored = BLEU.compute_bleu(matches, totals, sums[0], sums[1], smooth_method="exp", max_ngram_order=order)
    return min(1.0, scored.score / 100)  # its sum of logarithms goes over by a rounding


def _entities(which: str) -> Callable[[Columns], float]:
    """Micro-averaged over entities, by seqeval, each entity as one tag: right, only predicted, or only wanted."""

    def metric(columns: Columns) -> float:
        from seqeval.metrics import f1_score, precision_score, recall_score

        rows = _counts(columns, "entity_counts")
        if not rows:
            return math.nan
        wanted_tags, predicted_tags = [], []
        for right, predicted, wanted in ((int(v) for v in row) for row in rows):
            wanted_tags.append(["B-E"] * right + ["O"] * (predicted - right) + ["B-E"] * (wanted - right))
            predicted_tags.append(["B-E"] * right + ["B-E"] * (predicted - right) + ["O"] * (wanted - right))
        score: Any = {"precision": precision_score, "recall": recall_score, "f1": f1_score}[which]
        return float(score(wanted_tags, predicted_tags, zero_division=0))

    return metric


def _bits(columns: Columns) -> float:
    """Bits of all texts over all bytes of them."""
    size = float(np.sum(columns["bytes"]))
    return float(np.sum(columns["nats"])) / math.log(2) / size if size else math.nan


def _perplexity(columns: Columns) -> float:
    """exp of the mean negative log-likelihood of a token."""
    tokens = float(np.sum(columns["tokens"]))
    return math.exp(float(np.sum(columns["nats"])) / tokens) if tokens else math.nan


FUNCTIONS: dict[str, Callable[[Columns], float]] = {
    "accuracy": _accuracy,
    "macro-f1": _macro(2),
    "precision": _macro(0),
    "recall": _macro(1),
    "f1": _binary_f1,
    "mcc": _mcc,
    "bleu": _bleu,
    "entity-f1": _entities("f1"),
    "entity-precision": _entities("precision"),
    "entity-recall": _entities("recall"),
    "answer-bits-per-byte": _bits,
    "bits-per-byte": _bits,
    "perplexity": _perplexity,
}
