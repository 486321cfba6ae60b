"""The mean effect against statsmodels where errors are independent, and its promise where they are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from regimen.analysis.statistics.mean_effect import pool

EFFECTS = np.array([0.10, 0.30, -0.05, 0.22, 0.14])
VARIANCES = np.array([0.004, 0.010, 0.006, 0.002, 0.008])


def test_with_independent_errors_it_is_statsmodels() -> None:
    """Hedges' between-effects variance is the method of moments with equal weights."""
    from statsmodels.stats.meta_analysis import _fit_tau_mm

    found = pool(EFFECTS, np.diag(VARIANCES))
    between = _fit_tau_mm(EFFECTS, VARIANCES, np.full(5, 0.2))
    assert found.between**2 == pytest.approx(between)
    weights = 1 / (VARIANCES + between)
    assert found.estimate == pytest.approx(np.average(EFFECTS, weights=weights))
    half = 2.7764451 / np.sqrt(weights.sum())  # Student's t with 4 degrees of freedom, 97.5%
    assert (found.low, found.high) == pytest.approx((found.estimate - half, found.estimate + half))


def test_effects_are_drawn_to_the_mean_the_more_the_less_is_known_of_them() -> None:
    found = pool(EFFECTS, np.diag(VARIANCES))
    kept = (found.shrunken - found.estimate) / (EFFECTS - found.estimate)
    assert np.all((kept > 0) & (kept < 1))
    assert list(np.argsort(-kept)) == list(np.argsort(VARIANCES))


def test_effects_that_agree_are_all_the_mean() -> None:
    found = pool(np.array([0.1, 0.1001, 0.0999]), np.diag([0.01, 0.01, 0.01]))
    assert found.between == 0
    assert found.shrunken == pytest.approx([found.estimate] * 3)


def test_one_effect_is_refused() -> None:
    with pytest.raises(ValueError, match="1 effect"):
        pool(np.array([0.1]), np.array([[0.01]]))


@pytest.mark.parametrize("between", [0.0, 0.1])
@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_the_interval_holds_the_mean_where_errors_are_shared(between: float, shared: float) -> None:
    """2,000 draws with 12 effects; a shared error that nobody counted would leave some 60% of them inside."""
    random = np.random.default_rng(5)
    covariance = 0.05**2 * (shared + (1 - shared) * np.eye(12))
    errors = random.multivariate_normal(np.zeros(12), covariance, size=2000)
    inside = 0
    for error in errors:
        found = pool(0.2 + between * random.standard_normal(12) + error, covariance)
        inside += found.low <= 0.2 <= found.high
    assert binomtest(inside, 2000, 0.95).pvalue > 1e-4 or inside / 2000 > 0.95
