"""Seeds as a second variance component, against Welch's test of scipy and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from regimen.analysis.statistics.seed_variance import Component, combine, item_component, seed_component
from regimen.errors import DataError


def test_two_sides_with_seeds_are_welchs_test() -> None:
    one, other = [0.71, 0.74, 0.69, 0.75], [0.61, 0.68, 0.64]
    found = combine(
        float(np.mean(one) - np.mean(other)), [seed_component([one], len(one)), seed_component([other], len(other))]
    )
    wanted: Any = ttest_ind(one, other, equal_var=False)
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.free == pytest.approx(wanted.df)
    interval = wanted.confidence_interval()
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


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
