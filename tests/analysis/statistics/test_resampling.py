"""Bootstrap intervals are scipy's BCa intervals, clusters are drawn whole, draws depend on nothing but their seed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from regimen.analysis.statistics import resampling
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.analysis.statistics.resampling import Resampled, bootstrap, mean
from regimen.errors import DataError
from tests.support.item_scores import binary, closed, coins, scores_of, texts


def skewed(seed: int, count: int) -> list[float]:
    return np.random.default_rng(seed).gamma(1.0, 0.2, count).tolist()


def test_the_interval_of_a_mean_is_scipys_bca() -> None:
    values = np.array(skewed(3, 60))
    found = bootstrap(scores_of({"x": values.tolist()}), seed=1, resamples=40_000).value("x").interval(expanded=False)
    wanted = scipy_bootstrap((values,), np.mean, n_resamples=40_000, rng=np.random.default_rng(2), method="BCa")
    width = wanted.confidence_interval.high - wanted.confidence_interval.low
    assert found.low == pytest.approx(wanted.confidence_interval.low, abs=0.02 * width)
    assert found.high == pytest.approx(wanted.confidence_interval.high, abs=0.02 * width)
    # and not the percentile interval, which this skewed sample tells apart
    percentile = scipy_bootstrap(
        (values,), np.mean, n_resamples=40_000, rng=np.random.default_rng(2), method="percentile"
    ).confidence_interval
    assert found.high - percentile.high > 0.02 * width


def test_few_clusters_reach_as_far_as_students_t() -> None:
    """Of a mean of symmetric values the expanded interval is the t interval; with many values it is scipy's BCa."""
    from scipy.stats import t

    values = np.linspace(-1, 1, 9)
    found = bootstrap(scores_of({"x": values.tolist()}), seed=1, resamples=40_000).value("x").interval()
    half = t.ppf(0.975, 8) * values.std(ddof=1) / 3
    assert found.high == pytest.approx(half, rel=0.06)
    assert found.low == pytest.approx(-half, rel=0.06)
    many = bootstrap(scores_of({"x": skewed(3, 2000)}), seed=1, resamples=5000).value("x")
    assert many.interval().high == pytest.approx(many.interval(expanded=False).high, abs=1e-3)


def test_the_interval_of_a_paired_difference_is_scipys_bca() -> None:
    one, other = np.array(coins(1, 80, 0.7)), np.array(coins(2, 80, 0.5))
    draws = bootstrap(scores_of({"x": one.tolist(), "y": other.tolist()}), seed=4, resamples=40_000)
    found = draws.gain("x", "y").interval(expanded=False)
    wanted = scipy_bootstrap(
        (one - other,), np.mean, n_resamples=40_000, rng=np.random.default_rng(3), method="BCa"
    ).confidence_interval
    assert found.low == pytest.approx(wanted.low, abs=0.013)  # draws lie on a lattice of 1/80
    assert found.high == pytest.approx(wanted.high, abs=0.013)
    assert draws.gain("x", "y").se == pytest.approx((one - other).std() / np.sqrt(80), rel=0.03)


def test_the_jackknife_of_several_samples_is_scipys() -> None:
    """A difference of two tasks' means is scipy's two-sample statistic, acceleration included."""
    one, other = skewed(5, 30), skewed(6, 45)
    first = TaskScores.from_rows("first", "exact-match", {"x": binary(one)})
    second = TaskScores.from_rows("second", "exact-match", {"x": binary(other)})
    found = (bootstrap(first, 1, 40_000).value("x") - bootstrap(second, 1, 40_000).value("x")).interval(expanded=False)

    def difference(a, b, axis):
        return a.mean(axis=axis) - b.mean(axis=axis)

    wanted = scipy_bootstrap(
        (np.array(one), np.array(other)), difference, n_resamples=40_000, rng=np.random.default_rng(3), method="BCa"
    ).confidence_interval
    width = wanted.high - wanted.low
    assert found.low == pytest.approx(wanted.low, abs=0.02 * width)
    assert found.high == pytest.approx(wanted.high, abs=0.02 * width)


def test_clusters_widen_the_interval_as_the_sandwich_does() -> None:
    """Ten copies of each item in its cluster: the standard error is that of the clusters, not of the items."""
    base = coins(7, 50, 0.5)
    copied = [score for score in base for _ in range(10)]
    clusters = [index for index in range(50) for _ in range(10)]
    whole = bootstrap(scores_of({"x": copied}, clusters), seed=1).value("x").se
    assert whole == pytest.approx(np.std(base) / np.sqrt(50), rel=0.03)
    assert bootstrap(scores_of({"x": copied}), seed=1).value("x").se == pytest.approx(whole / np.sqrt(10), rel=0.05)


def test_draws_depend_on_seed_and_task_alone() -> None:
    ends = {"x": coins(1, 40, 0.6), "y": coins(2, 40, 0.4)}
    both, lone = bootstrap(scores_of(ends), 3, 500), bootstrap(scores_of({"y": ends["y"]}), 3, 500)
    assert np.array_equal(both.value("y").draws, lone.value("y").draws)
    assert not np.array_equal(both.value("y").draws, bootstrap(scores_of(ends), 4, 500).value("y").draws)


def test_chunks_change_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = scores_of({"x": coins(1, 40, 0.6)})
    whole = bootstrap(scores, 3, 500).draws
    monkeypatch.setattr(resampling, "_MEMORY", 8 * 100 * 7)
    assert np.array_equal(bootstrap(scores, 3, 500).draws, whole)


def test_without_spread_the_interval_has_no_width_and_says_so() -> None:
    scores = scores_of({"x": [1.0] * 20, "y": [0.0] * 20})
    interval = bootstrap(scores, 1).gain("x", "y").interval()
    assert (interval.low, interval.high, interval.degenerate) == (1.0, 1.0, True)


def test_less_is_better_where_the_metric_says_so() -> None:
    scores = TaskScores.from_rows("t", "bits-per-byte", {"x": texts([1, 2], [2, 2]), "y": texts([2, 4], [2, 2])})
    assert bootstrap(scores, 1).gain("x", "y").point > 0


def test_macro_f1_resamples_are_scikit_learns() -> None:
    from sklearn.metrics import f1_score

    random = np.random.default_rng(8)
    targets, said = random.choice(list("abc"), 25), random.choice(list("abcd"), 25)
    scores = TaskScores.from_rows("t", "macro-f1", {"x": closed(targets.tolist(), said.tolist())})
    draws = bootstrap(scores, 9, 50).draws[:, 0]
    generator = resampling.generator(9, "bootstrap", "t")
    picks = generator.integers(0, 25, size=(50, 25))
    for draw, pick in zip(draws, picks, strict=True):
        labels = sorted(set(targets[pick]))
        wanted = f1_score(targets[pick], said[pick], labels=labels, average="macro", zero_division=0.0)  # type: ignore[arg-type]
        assert draw == pytest.approx(wanted)


def test_a_metric_that_a_resample_can_leave_without_items_is_refused() -> None:
    rows = texts([1.0, 2.0], [0, 2])
    with pytest.raises(DataError, match="evaluate more items"):
        bootstrap(TaskScores.from_rows("t", "bits-per-byte", {"x": rows}), 1, 200)


def test_a_mean_over_tasks_adds_variances() -> None:
    one = bootstrap(TaskScores.from_rows("one", "exact-match", {"x": binary(skewed(1, 50))}), 1).value("x")
    two = bootstrap(TaskScores.from_rows("two", "exact-match", {"x": binary(skewed(2, 50))}), 1).value("x")
    assert mean([one, two]).se == pytest.approx(np.hypot(one.se, two.se) / 2, rel=0.03)
    same = mean([one, one])
    assert isinstance(same, Resampled)
    assert same.se == pytest.approx(one.se)
