"""p-values and corrections against statsmodels, scipy, and cases worked by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from benchmarks.analysis.sparse_tests import EVEN, classes
from benchmarks.analysis.sparse_tests import scores_of as sparse_scores
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, false_discovery_control, permutation_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.significance import adjusted, p_values
from regimen.errors import DataError, UsageError
from regimen.study import EndPoint, Pair
from tests.support.item_scores import binary, closed, coins, scores_of

PAIR = Pair(of=EndPoint("x"), against=EndPoint("y"), task="quiz")


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=80))
@settings(max_examples=80, deadline=None)
def test_mcnemar_is_statsmodels(items: list[tuple[int, int]]) -> None:
    scores = scores_of({"x": [float(a) for a, _ in items], "y": [float(b) for _, b in items]})
    found = p_values({"c": [PAIR]}, {"quiz": scores}, seed=1)["c"]
    table = np.zeros((2, 2))
    for a, b in items:
        table[a, b] += 1
    theirs: Any = mcnemar(table, exact=True)
    wanted = theirs.pvalue if table[0, 1] + table[1, 0] else 1.0
    assert found.test == "exact McNemar"
    assert found.p == pytest.approx(wanted)
    assert found.differing == table[0, 1] + table[1, 0]


def test_swaps_of_items_are_scipys_paired_permutation_test() -> None:
    random = np.random.default_rng(5)
    one = random.gamma(2, 0.2, 40)
    other = one + random.normal(0.06, 0.2, 40)
    scores = scores_of({"x": one.tolist(), "y": other.tolist()})
    found = p_values({"c": [PAIR]}, {"quiz": scores}, seed=1)["c"]

    def mean_difference(a, b, axis):
        return (a - b).mean(axis=axis)

    wanted = permutation_test(
        (one, other), mean_difference, permutation_type="samples", n_resamples=19_999, rng=np.random.default_rng(3)
    ).pvalue
    assert found.test == "19,999 random swaps of clusters"
    assert found.p == pytest.approx(wanted, abs=0.012)


def test_few_clusters_are_swapped_in_every_way() -> None:
    one, other = [0.9, 0.4, 0.8, 0.3, 0.6], [0.1, 0.5, 0.2, 0.3, 0.5]
    found = p_values({"c": [PAIR]}, {"quiz": scores_of({"x": one, "y": other})}, seed=1)["c"]
    differences = np.array(one) - np.array(other)
    signs = np.array(list(itertools.product([1, -1], repeat=5)))
    wanted = (np.abs((signs * differences).sum(axis=1)) >= abs(differences.sum()) - 1e-12).mean()
    assert found.test == "all swaps of clusters"
    assert found.p == pytest.approx(wanted)
    assert found.differing == 4


def test_the_labels_of_a_whole_cluster_are_swapped_together() -> None:
    """Ten copies of each item tell no more than the item: p must not fall."""
    one, other = [1.0, 1, 1, 1, 0, 1, 1, 0], [0.0, 0, 1, 0, 1, 0, 0, 0]
    lone = p_values({"c": [PAIR]}, {"quiz": scores_of({"x": one, "y": other})}, seed=1)["c"].p
    clusters = [index for index in range(8) for _ in range(10)]
    copies = {name: [v for v in values for _ in range(10)] for name, values in (("x", one), ("y", other))}
    clustered = p_values({"c": [PAIR]}, {"quiz": scores_of(copies, clusters)}, seed=1)["c"].p
    assert clustered == pytest.approx(lone)
    assert p_values({"c": [PAIR]}, {"quiz": scores_of(copies)}, seed=1)["c"].p < lone / 10


def test_macro_f1_by_every_swap_of_a_small_table() -> None:
    from sklearn.metrics import f1_score

    targets = list("aabbabab")
    one, other = list("aabbabba"), list("abababab")
    rows = {"x": closed(targets, one), "y": closed(targets, other)}
    found = p_values({"c": [PAIR]}, {"quiz": TaskScores.from_rows("quiz", "macro-f1", rows)}, seed=1)["c"]
    places = [i for i in range(8) if one[i] != other[i]]

    def gap(a: list[str], b: list[str]) -> float:
        options = {"labels": ["a", "b"], "average": "macro", "zero_division": 0}
        return float(f1_score(targets, a, **options)) - float(f1_score(targets, b, **options))

    null = []
    for chosen in itertools.product([0, 1], repeat=len(places)):
        a, b = list(one), list(other)
        for place, swap in zip(places, chosen, strict=True):
            if swap:
                a[place], b[place] = b[place], a[place]
        null.append(gap(a, b))
    assert found.p == pytest.approx((np.abs(null) >= abs(gap(one, other)) - 1e-9).mean())


def test_several_pairs_share_their_swaps() -> None:
    """Of a contrast of two pairs on one task, an item's labels move in both at once: opposite effects cancel."""
    scores = scores_of({"x": coins(1, 60, 0.9), "y": coins(2, 60, 0.3)})
    there_and_back = [PAIR, Pair(of=EndPoint("y"), against=EndPoint("x"), task="quiz")]
    assert p_values({"c": there_and_back}, {"quiz": scores}, seed=1)["c"].p == 1.0


def test_a_contrasts_p_does_not_depend_on_its_company() -> None:
    scores = {"quiz": scores_of({"x": coins(1, 60, 0.6), "y": coins(2, 60, 0.5), "z": coins(3, 60, 0.4)}, range(60))}
    graded = {"quiz": scores_of({name: (np.array(coins(seed, 60, 0.5)) * 0.7).tolist() for name, seed in
                                 (("x", 1), ("y", 2), ("z", 3))})}  # fmt: skip
    contrasts = {"a": [PAIR], "b": [Pair(of=EndPoint("z"), against=EndPoint("y"), task="quiz")]}
    for which in (scores, graded):
        together = p_values(contrasts, which, seed=1)
        assert together["a"] == p_values({"a": contrasts["a"]}, which, seed=1)["a"]


def _corrected(p: list[float], method: str) -> list[float]:
    """The p-values that statsmodels corrects."""
    values: Any = multipletests(p, method=method)[1]
    return values.tolist()


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_corrections(p: list[float]) -> None:
    assert adjusted(p, "holm") == pytest.approx(_corrected(p, "holm"))
    assert adjusted(p, "benjamini-hochberg") == pytest.approx(_corrected(p, "fdr_bh"))
    assert adjusted(p, "benjamini-yekutieli") == pytest.approx(_corrected(p, "fdr_by"))
    assert adjusted(p, "benjamini-hochberg") == pytest.approx(false_discovery_control(p, method="bh").tolist())


def test_corrections_by_hand() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert adjusted(p, "holm") == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted(p, "benjamini-hochberg") == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_what_was_declared_and_not_tested_counts() -> None:
    assert adjusted([0.01, 0.04], "holm", declared=10) == pytest.approx([0.1, 0.36])
    wanted = _corrected([0.01, 0.04, *[1.0] * 8], "holm")[:2]
    assert adjusted([0.01, 0.04], "holm", declared=10) == pytest.approx(wanted)
    assert adjusted([], "holm", declared=3) == []
    with pytest.raises(UsageError, match="2 p-values of 1 declared"):
        adjusted([0.1, 0.2], "holm", declared=1)


def test_missing_ends_are_refused_by_name() -> None:
    scores = {"quiz": TaskScores.from_rows("quiz", "exact-match", {"x": binary([1, 0])})}
    with pytest.raises(DataError, match="y has no scores on task quiz"):
        p_values({"c": [PAIR]}, scores, seed=1)
    with pytest.raises(DataError, match="no scores on task other"):
        p_values({"c": [Pair(of=EndPoint("x"), against=EndPoint("y"), task="other")]}, scores, seed=1)
    with pytest.raises(DataError, match="has no pairs"):
        p_values({"c": []}, scores, seed=1)


def test_answers_that_are_all_the_same_have_p_1() -> None:
    same = np.random.default_rng(2).random(20).tolist()
    found = p_values({"c": [PAIR]}, {"quiz": scores_of({"x": same, "y": same})}, seed=1)["c"]
    assert (found.p, found.differing) == (1.0, 0)


def test_a_metric_that_divides_by_predictions_is_tested_by_flips_of_influences() -> None:
    """By hand: each cluster's jackknife influence, widened by (n + 4) / n, its sign flipped at random."""
    random = np.random.default_rng(4)
    targets = random.choice(list("abc"), 60)
    said = [t if random.random() < 0.7 else "b" for t in targets]
    rows = {"x": closed(targets.tolist(), said), "y": closed(targets.tolist(), ["a"] * 60)}
    scores = TaskScores.from_rows("quiz", "macro-f1", rows)
    found = p_values({"c": [PAIR]}, {"quiz": scores}, seed=1)["c"]
    assert found.test == "19,999 random flips of clusters"
    total, value = scores.sums.sum(axis=0), scores.form.value
    gap = float(value(total)[0] - value(total)[1])
    left = np.array([value(total - one)[0] - value(total - one)[1] for one in scores.sums])
    own = gap + 59 * (left.mean() - left)
    assert own.mean() == pytest.approx(gap)
    null = (random.integers(0, 2, (50_000, 60)) * 2 - 1) @ own / 60 * 64 / 60
    assert found.p == pytest.approx((np.abs(null) >= gap).mean(), abs=0.01)
    assert found.spread == pytest.approx(null.std(), rel=0.05)


def test_a_model_that_always_says_the_same_is_told_from_one_that_is_better() -> None:
    """Swaps of labels found a true +0.14 at 64 items in a third of studies; flips find more, and no null in over 5%."""
    pair = [Pair(of=EndPoint("a"), against=EndPoint("b"), task="t")]

    def found(right: float) -> int:  # three even classes and even errors: macro-F1 is the share that is right
        models, hits = [classes(right, 3), classes(None, 3)], 0
        for seed in range(100):
            scores = sparse_scores("macro-f1", EVEN, models, 64, np.random.default_rng(seed))
            hits += p_values({"c": pair}, {"t": scores}, seed, 499)["c"].p <= 0.05
        return hits

    assert found(1 / 6) <= binom.ppf(0.999, 100, 0.05)
    assert found(1 / 6 + 0.14) >= binom.ppf(0.001, 100, 0.48)
