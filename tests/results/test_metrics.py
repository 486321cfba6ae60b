"""Metrics over items equal scikit-learn's, seqeval's and closed forms."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, precision_score, recall_score

from regimen.results import aggregate, better_sign, is_known
from regimen.study import load_study
from regimen.study.metrics import METRICS

CLASSES = ["bearish", "bullish", "neutral"]
PAIRS = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=2, max_size=60)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore")  # scikit-learn warns of degenerate inputs that this test draws on purpose
def test_closed_metrics_are_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    targets, predictions = [t for t, _ in pairs], [p for _, p in pairs]
    found = aggregate(
        ["accuracy", "macro-f1", "precision", "recall", "mcc"], {"target": targets, "prediction": predictions}
    )
    labels = sorted(set(targets))
    options: dict[str, Any] = {"labels": labels, "average": "macro", "zero_division": 0}
    assert found["accuracy"] == pytest.approx(accuracy_score(targets, predictions))
    assert found["macro-f1"] == pytest.approx(f1_score(targets, predictions, **options))
    assert found["precision"] == pytest.approx(precision_score(targets, predictions, **options))
    assert found["recall"] == pytest.approx(recall_score(targets, predictions, **options))
    assert found["mcc"] == pytest.approx(matthews_corrcoef(targets, predictions))


def test_macro_f1_by_hand() -> None:
    columns = {"target": list("aaabbc"), "prediction": ["a", "a", "b", "b", "c", "c"]}
    # a: p 1, r 2/3, f 0.8; b: p 1/2, r 1/2, f 0.5; c: p 1/2, r 1, f 2/3
    assert aggregate(["macro-f1"], columns)["macro-f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


def test_an_answer_that_could_not_be_read_is_wrong_and_no_class() -> None:
    columns = {"target": ["neutral", "bullish"], "prediction": [None, "bullish"]}
    found = aggregate(["accuracy", "macro-f1"], columns)
    assert found == {"accuracy": 0.5, "macro-f1": 0.5}


def test_f1_is_of_the_positive_class_and_of_no_other() -> None:
    """Fraud is never predicted: an F1 of the other class would say 0.86."""
    columns = {"target": ["fraud", "legit", "legit", "legit"], "prediction": ["legit"] * 4}
    assert aggregate(["f1"], columns | {"positive": ["fraud"] * 4})["f1"] == 0.0
    assert aggregate(["f1"], columns | {"positive": ["legit"] * 4})["f1"] == pytest.approx(6 / 7)
    assert math.isnan(aggregate(["f1"], columns)["f1"])


COUNTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 3)).map(lambda t: [t[0], t[0] + t[1], t[0] + t[2]]),
    min_size=1,
    max_size=12,
)


@given(COUNTS)
@settings(max_examples=50, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_entity_scores_are_seqevals_and_the_closed_form(counts: list[list[int]]) -> None:
    found = aggregate(["entity-f1", "entity-precision", "entity-recall"], {"entity_counts": counts})
    right, predicted, wanted = (sum(row[i] for row in counts) for i in range(3))
    assert found["entity-precision"] == pytest.approx(right / predicted if predicted else 0.0)
    assert found["entity-recall"] == pytest.approx(right / wanted if wanted else 0.0)
    assert found["entity-f1"] == pytest.approx(2 * right / (predicted + wanted) if right else 0.0)


def test_entity_f1_on_a_sentence_tagged_by_hand() -> None:
    """seqeval's own report on IOB tags, where spans are whole entities."""
    wanted = [["B-PER", "I-PER", "O", "B-ORG", "B-LOC"]]
    said = [["B-PER", "I-PER", "O", "B-LOC", "B-LOC"]]
    report = classification_report(wanted, said, output_dict=True, zero_division=0)  # type: ignore[arg-type]
    micro = report["micro avg"]["f1-score"]  # type: ignore[index]
    assert aggregate(["entity-f1"], {"entity_counts": [[2, 3, 3]]})["entity-f1"] == pytest.approx(micro)


def test_bits_and_perplexity_by_hand() -> None:
    columns = {"nats": [math.log(2) * 8, math.log(2) * 4], "bytes": [4, 2], "tokens": [2, 1]}
    assert aggregate(["bits-per-byte", "perplexity"], columns) == {
        "bits-per-byte": pytest.approx(2.0),
        "perplexity": pytest.approx(2**4),
    }


def test_nothing_to_score_is_nan() -> None:
    empty: dict[str, list[Any]] = {column: [] for metric in METRICS.values() for column in metric.columns}
    found = aggregate(list(METRICS), empty)
    assert all(math.isnan(value) for value in found.values())


def test_every_metric_that_the_study_names_is_known_and_turned_the_right_way() -> None:
    names = {metric for task in load_study("qwen2-finance").tasks.values() for metric in task.metrics}
    assert all(is_known(name) for name in names)
    lower = {"bits-per-byte", "answer-bits-per-byte", "perplexity", "missing-rate"}
    assert {name for name in names if better_sign(name) < 0} == lower


WEIGHTED = st.lists(
    st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES), st.integers(1, 4)), min_size=2, max_size=20
)


@given(WEIGHTED)
@settings(max_examples=40, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_a_weight_counts_as_so_many_rows(rows: list[tuple[str, str, int]]) -> None:
    repeated = [(t, p) for t, p, w in rows for _ in range(w)]
    names = ["accuracy", "macro-f1", "precision", "recall", "f1", "mcc"]
    targets, predictions, weights = (list(column) for column in zip(*rows, strict=True))
    weighted: dict[str, list[Any]] = {"target": targets, "prediction": predictions, "weight": weights}
    plain: dict[str, list[Any]] = {"target": [t for t, _ in repeated], "prediction": [p for _, p in repeated]}
    for columns in (weighted, plain):
        columns["positive"] = ["bullish"]
    assert aggregate(names, weighted) == pytest.approx(aggregate(names, plain), abs=1e-9)
