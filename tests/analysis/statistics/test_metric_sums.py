"""Metrics from sums equal the metrics of the libraries, whole or resampled, and what cannot be aligned is refused."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.metric_sums import Sums
from regimen.errors import DataError
from regimen.results import aggregate
from regimen.study.metrics import METRICS
from tests.support.item_scores import binary, closed, scores_of

LABELS = ["bearish", "bullish", "neutral"]


def rows_for(metric: str, seed: int, count: int) -> dict[str, list[Any]]:
    """Random rows of every column that any metric reads."""
    draw = random.Random(f"{metric}-{seed}")
    bleu: list[list[float]] = []
    entities: list[list[float]] = []
    for _ in range(count):
        size, right = draw.randint(4, 20), draw.randint(0, 3)
        totals = [size - order for order in range(4)]
        right_size = draw.randint(1, 6 if seed % 2 else 3)  # short references leave higher orders out
        of_right = [max(0, right_size - order) for order in range(4)]
        bleu.append([size, right_size, *[draw.randint(0, total) for total in totals], *totals, *of_right])
        entities.append([right, right + draw.randint(0, 2), right + draw.randint(0, 2)])
    return {
        "target": [draw.choice(LABELS) for _ in range(count)],
        "prediction": [draw.choice([*LABELS, "", None]) for _ in range(count)],
        "positive": ["bullish"] * count,
        "values": [[(name, draw.random()) for name in [*METRICS, "lm-eval:acc"]] for _ in range(count)],
        "bleu_counts": bleu,
        "entity_counts": entities,
        "nats": [draw.uniform(1, 90) for _ in range(count)],
        "bytes": [draw.randint(1, 200) for _ in range(count)],
        "tokens": [draw.randint(1, 60) for _ in range(count)],
    }


@pytest.mark.filterwarnings("ignore")  # scikit-learn and seqeval warn of degenerate inputs drawn on purpose
@pytest.mark.parametrize("metric", [*METRICS, "lm-eval:acc"])
@given(seed=st.integers(0, 10**6), count=st.integers(1, 40))
@settings(max_examples=25, deadline=None)
def test_the_sums_give_the_librarys_metric(metric: str, seed: int, count: int) -> None:
    rows = rows_for(metric, seed, count)
    form = Sums(metric)
    assert float(form.value(form.of(rows).sum(axis=0))) == pytest.approx(aggregate([metric], rows)[metric], abs=1e-9)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("metric", [*METRICS, "lm-eval:acc"])
def test_weights_are_the_metric_of_repeated_items(metric: str) -> None:
    """A resample by weights is the metric of the items written out that often: the bootstrap draws what it says."""
    rows, form = rows_for(metric, 5, 30), Sums(metric)
    weights = np.random.default_rng(1).multinomial(30, [1 / 30] * 30)
    repeated = {
        name: [value for value, times in zip(column, weights, strict=True) for _ in range(times)]
        for name, column in rows.items()
    }
    weighted = float(form.value(weights @ form.of(rows)))
    assert weighted == pytest.approx(aggregate([metric], repeated)[metric], abs=1e-9)


def test_rows_in_any_order_are_aligned_by_item() -> None:
    one, other = closed(["a", "b", "a"], ["a", "a", "a"]), closed(["a", "b", "a"], ["b", "b", "a"])
    turned = {name: list(reversed(column)) for name, column in other.items()}
    straight = TaskScores.from_rows("t", "accuracy", {"x": one, "y": other})
    assert np.array_equal(straight.sums, TaskScores.from_rows("t", "accuracy", {"x": one, "y": turned}).sums)


def test_clusters_are_summed_whole() -> None:
    scores = scores_of({"x": [1, 0, 1, 1], "y": [0, 0, 1, 0]}, clusters=[1, 1, 2, 2])
    assert scores.clusters == 2
    assert scores.items == 4
    assert scores.sums[:, 0].tolist() == [[2, 1], [2, 2]]
    assert not scores.is_binary
    assert scores_of({"x": [1, 0], "y": [0, 0]}).is_binary


def test_a_graded_score_is_not_binary() -> None:
    assert not scores_of({"x": [0.5, 0], "y": [0, 1]}).is_binary


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"item_id": ["i00000", "i00001", "i00009"]}, "lacks i00002"),
        ({"target": ["t", "t", "other"]}, "targets of y and x differ"),
        ({"cluster": ["i00000", "i00001", "i00001"]}, "clusters of y and x differ"),
        ({"item_id": ["i00000", "i00001", "i00001"]}, "more than once"),
        ({"values": [[("exact-match", 1.0)], [], [("exact-match", 0.0)]]}, "no value for exact-match"),
        ({"values": [[("exact-match", 1.0)], [("exact-match", math.nan)], []]}, "2 of 3 items"),
    ],
)
def test_what_cannot_be_compared_is_refused(change: dict[str, list[Any]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        TaskScores.from_rows("quiz", "exact-match", {"x": binary([1, 0, 1]), "y": binary([1, 1, 1]) | change})


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(DataError, match="no sums are known for metric 'vibes'"):
        Sums("vibes")
