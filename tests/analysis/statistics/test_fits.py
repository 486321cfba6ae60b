"""Power laws come back from their own points, the last point judges them, mixtures predict or keep silent."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from regimen.analysis.mixture_responses import best_ridge, leave_one_out, ridge
from regimen.analysis.statistics.fits import fit_draws, fit_power, try_power

STEPS = np.array([250.0, 500, 1000, 2000, 5000])


@pytest.mark.parametrize(("offset", "scale", "beta"), [(0.9, -0.5, 0.4), (1.2, 2.0, 1.1), (0.0, 0.7, 0.15)])
def test_a_law_is_found_again(offset: float, scale: float, beta: float) -> None:
    law = fit_power(STEPS, offset + scale * (STEPS / 250) ** -beta)
    assert (law.offset, law.scale, law.exponent) == pytest.approx((offset, scale, beta), rel=1e-3, abs=1e-3)


def test_noisy_points_are_fitted_as_scipys_curve_fit_does() -> None:
    x = np.geomspace(10, 5000, 12)
    y = 1.0 + 3.0 * (x / 10) ** -0.5 + np.random.default_rng(3).normal(0, 0.02, 12)
    law = fit_power(x, y)

    def form(x, offset, scale, beta):
        return offset + scale * (x / 10) ** -beta

    wanted, _ = curve_fit(form, x, y, p0=[1, 3, 0.5])
    assert (law.offset, law.scale, law.exponent) == pytest.approx(tuple(wanted), rel=1e-4)
    band = fit_draws(x, y[None], x)
    assert band[0] == pytest.approx(law.at(x), abs=0.01)


def test_the_last_point_judges_the_law() -> None:
    y = 0.9 - 0.5 * (STEPS / 250) ** -0.6
    noise = 0.01 * np.random.default_rng(1).standard_normal((500, 5))
    kept = try_power(STEPS, y, y + noise)
    assert kept is not None
    assert kept.holds
    assert kept.predicted == pytest.approx(y[-1], abs=1e-3)
    assert kept.predicted_low < y[-1] < kept.predicted_high
    broken = y.copy()
    broken[-1] -= 0.3
    lost = try_power(STEPS, broken, broken + noise)
    assert lost is not None
    assert not lost.holds
    assert lost.predicted == pytest.approx(y[-1], abs=1e-3)  # the point that judges was not fitted


@pytest.mark.parametrize(
    ("y", "fault"),
    [
        ([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], "the exponent 0.0"),  # falls with the logarithm: no power, so a bound
        ([0.2, 0.4, 0.55, 0.66, 0.742, 0.804], "its limit of"),  # on its way to more than 1
        ([0.2, 0.5, 0.65, 0.725, 0.7625, 0.78125], None),  # halves what is left to 0.8 each time
    ],
)
def test_a_law_at_a_bound_is_no_fit(y: list[float], fault: str | None) -> None:
    x = np.array([100.0 * 2**n for n in range(6)])
    found = fit_power(x, np.array(y)).fault(0.0, 0.95)
    assert (found is None) == (fault is None)
    if fault and found:
        assert found.startswith(fault)


def test_four_points_are_too_few() -> None:
    assert try_power(STEPS[:4], STEPS[:4], STEPS[None, :4]) is None


def test_order_does_not_matter() -> None:
    y = 1.0 + (STEPS / 250) ** -0.5
    mixed = np.array([3, 0, 4, 1, 2])
    noise = 0.01 * np.random.default_rng(1).standard_normal((50, 5))
    one, other = try_power(STEPS, y, y + noise), try_power(STEPS[mixed], y[mixed], (y + noise)[:, mixed])
    assert one is not None
    assert other is not None
    assert one.law == other.law


def mixtures(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([0.5] * 4, count)


def test_a_linear_response_is_learned_and_beats_the_mean() -> None:
    weights = mixtures(1, 14)
    values = weights @ np.array([0.4, 0.1, -0.2, 0.0])
    predicted, plain = leave_one_out(weights, values)
    assert np.abs(values - predicted).mean() < 0.2 * np.abs(values - plain).mean()
    found = ridge(weights, values, best_ridge(weights, values))
    assert found == pytest.approx([0.4, 0.1, -0.2, 0.0], abs=0.03)


def test_noise_is_not_foretold() -> None:
    """Over many draws of pure noise the regression beats the mean of the others less often than not."""
    beats = 0
    for seed in range(40):
        weights, values = mixtures(seed, 10), np.random.default_rng(seed + 100).normal(size=10)
        predicted, plain = leave_one_out(weights, values)
        beats += np.sum((values - predicted) ** 2) < np.sum((values - plain) ** 2)
    assert beats < 20


def test_the_left_out_mixture_is_not_seen() -> None:
    weights, values = mixtures(5, 8), np.random.default_rng(2).normal(size=8)
    changed = values.copy()
    changed[3] += 10
    assert leave_one_out(weights, values)[0][3] == pytest.approx(leave_one_out(weights, changed)[0][3])
    assert leave_one_out(weights, values)[1][3] == pytest.approx(np.delete(values, 3).mean())


def test_ridge_is_scikit_learns_on_centred_values() -> None:
    from sklearn.linear_model import Ridge

    weights, values = mixtures(7, 9), np.random.default_rng(3).normal(size=9)
    model = Ridge(alpha=0.3, fit_intercept=False).fit(weights, values - values.mean())
    assert ridge(weights, values, 0.3) == pytest.approx(model.coef_ + values.mean())
