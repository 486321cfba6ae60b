"""Seeds as a second variance component, against Welch's test of scipy and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from regimen.analysis.statistics.seed_variance import Component, combine, item_component, seed_component, standing_out
from regimen.errors import DataError


def test_two_sides_with_seeds_are_at_least_as_wide_as_welchs_test() -> None:
    one, other = [0.71, 0.74, 0.69, 0.75], [0.61, 0.68, 0.64]
    found = combine(
        float(np.mean(one) - np.mean(other)), [seed_component([one], len(one)), seed_component([other], len(other))]
    )
    wanted: Any = ttest_ind(one, other, equal_var=False)
    assert found.free == pytest.approx(wanted.df)
    assert found.p > wanted.pvalue
    assert found.low < wanted.confidence_interval().low
    by_hand = math.sqrt(3.1824463**2 * np.var(one, ddof=1) / 4 + 4.3026527**2 * np.var(other, ddof=1) / 3)
    assert found.high - found.estimate == pytest.approx(by_hand)  # Student's t of 3 and 2 degrees, 97.5%


def test_p_and_interval_agree() -> None:
    parts = [Component(0.0004, 99), Component(0.0012, 2)]
    found = combine(0.1, parts)
    low, high = found.interval(1 - found.p)
    assert low == pytest.approx(0.0, abs=1e-9)
    assert high == pytest.approx(0.2)
    assert combine(-0.1, parts).p == pytest.approx(found.p)


@pytest.mark.parametrize(("runs", "seeds", "recipes"), [(2, 0.3, 1), (2, 0.1, 1), (3, 0.0, 1), (3, 0.1, 3)])
def test_a_difference_that_is_none_is_called_clear_in_at_most_5_percent(runs: int, seeds: float, recipes: int) -> None:
    """1,500 crossed designs: 64 items, the seeds' effect, and what an item does with one seed alone."""
    random = np.random.default_rng(3)
    wrong = 0
    for _ in range(1500):
        item = 0.2 * random.standard_normal(64)
        luck = seeds * random.standard_normal((recipes, runs, 1))
        scores = item + luck + 0.4 * random.standard_normal((recipes, runs, 64))
        error = float(scores[0].mean(axis=0).std(ddof=1)) / 8
        parts = [item_component(error, 64), seed_component(scores.mean(axis=2).tolist(), runs)]
        wrong += combine(float(scores[0].mean()), parts).p <= 0.05
    assert wrong / 1500 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1500)


def test_items_alone_are_the_one_sample_t_test() -> None:
    differences = np.random.default_rng(1).normal(0.1, 0.3, 30)
    found = combine(float(differences.mean()), [item_component(differences.std(ddof=1) / math.sqrt(30), 30)])
    wanted: Any = ttest_1samp(differences, 0)
    assert found.p == pytest.approx(wanted.pvalue)


def test_variances_add_and_freedom_is_satterthwaites() -> None:
    found = combine(0.1, [Component(0.0004, 99), Component(0.0012, 2)])
    assert found.se == pytest.approx(0.04)
    assert found.free == pytest.approx(0.0016**2 / (0.0004**2 / 99 + 0.0012**2 / 2))


def test_groups_are_pooled_within_their_own_means() -> None:
    part = seed_component([[0.1, 0.3], [0.8, 0.9, 1.0]], 1)
    assert part.free == 3
    assert part.variance == pytest.approx((0.02 + 0.02) / 3)
    assert seed_component([[0.1, 0.3], [0.5]], 1).free == 1


def test_one_seed_tells_nothing() -> None:
    with pytest.raises(DataError, match="train at least 2"):
        seed_component([[0.1], [0.2]], 1)
    with pytest.raises(DataError, match="evaluate at least 2"):
        item_component(0.1, 1)


def test_no_spread_at_all() -> None:
    assert combine(0.0, [Component(0.0, 3)]).p == 1.0
    assert combine(0.2, [Component(0.0, 3)]).p == 0.0


def test_a_recipe_stands_out_by_cochrans_test() -> None:
    """Six recipes of three runs: C = largest variance / sum of variances, against its critical value at 50%."""
    steady = {f"r{n}": [0.60, 0.62 + 0.001 * n, 0.64] for n in range(5)}
    assert standing_out({**steady, "r5": [0.60, 0.61, 0.66]}) == frozenset()
    assert standing_out({**steady, "r5": [0.40, 0.60, 0.80]}) == {"r5"}
    both = {**steady, "r5": [0.40, 0.60, 0.80], "r6": [0.45, 0.60, 0.75]}
    assert standing_out(both) == {"r5", "r6"}
    assert standing_out({"r5": [0.4, 0.6, 0.8], "alone": [0.5]}) == frozenset()
    assert standing_out({}) == frozenset()


@pytest.mark.parametrize("seeds", [3, 5])
def test_half_of_the_families_of_alike_recipes_have_one_that_stands_out(seeds: int) -> None:
    random = np.random.default_rng(5)
    families = 1000
    found = sum(
        bool(standing_out({str(n): random.standard_normal(seeds).tolist() for n in range(6)})) for _ in range(families)
    )
    assert found / families == pytest.approx(0.48, abs=0.05)  # just below Bonferroni's bound of 50%
