"""Detectable effects: exact power against enumeration and simulation, the t form against statsmodels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, t
from statsmodels.stats.power import TTestPower

from regimen.plan.detectable import detectable, detectable_mcnemar, fewest_discordant, mcnemar_power


@pytest.mark.parametrize(("alpha", "fewest"), [(0.05, 6), (0.05 / 620, 15), (1.0, 1), (0.5, 2), (0.25, 3)])
def test_fewest_discordant(alpha: float, fewest: int) -> None:
    """Under Holm over 620 tests at least 15 items must differ, all one way (2 / 2^15 <= 0.05 / 620 < 2 / 2^14)."""
    assert fewest_discordant(alpha) == fewest
    assert binomtest(0, fewest).pvalue <= alpha
    assert fewest == 1 or binomtest(0, fewest - 1).pvalue > alpha


@pytest.mark.parametrize(("discordance", "effect", "alpha"), [(0.5, 0.3, 0.2), (0.8, -0.6, 0.3), (0.4, 0.0, 0.5)])
def test_mcnemars_power_by_enumeration(discordance: float, effect: float, alpha: float) -> None:
    items = 7
    ahead, behind = (discordance + effect) / 2, (discordance - effect) / 2
    shares = (ahead, behind, 1 - discordance)
    power = 0.0
    for a in range(items + 1):
        for b in range(items + 1 - a):
            ways = math.comb(items, a) * math.comb(items - a, b)
            chance = ways * shares[0] ** a * shares[1] ** b * shares[2] ** (items - a - b)
            if a + b and binomtest(a, a + b).pvalue <= alpha:
                power += chance
    assert mcnemar_power(items, discordance, effect, alpha) == pytest.approx(power)


def test_the_detectable_effect_has_the_stated_power() -> None:
    effect = detectable_mcnemar(164, 0.15, 0.05)
    assert effect is not None
    assert effect == pytest.approx(0.084, abs=0.012)  # 8.4 points by the normal approximation
    assert mcnemar_power(164, 0.15, effect, 0.05) == pytest.approx(0.8, abs=1e-3)
    assert detectable_mcnemar(5, 1.0, 0.05) is None


def test_the_t_form_is_close_to_the_noncentral_t_of_statsmodels() -> None:
    effect = detectable(1 / math.sqrt(50), 50, 0.05)
    assert effect == pytest.approx(TTestPower().solve_power(nobs=50, alpha=0.05, power=0.8), rel=0.01)


def test_nothing_is_detectable_without_spread_or_with_too_few_clusters() -> None:
    assert detectable(0.0, 50, 0.05) is None
    assert detectable(0.1, 5, 0.05) is None
    assert detectable(0.1, 6, 0.05) is not None
    assert detectable(0.1, 2, 1.0, free=0) is None


def test_power_falls_with_alpha_and_grows_with_items() -> None:
    powers = [mcnemar_power(n, 0.2, 0.1, a) for n, a in itertools.product((50, 100, 400), (0.001, 0.05))]
    assert np.all(np.diff(np.array(powers).reshape(3, 2), axis=1) > 0)
    assert np.all(np.diff(np.array(powers).reshape(3, 2), axis=0) > 0)


def test_a_wider_null_asks_for_a_larger_effect() -> None:
    plain, wide = detectable(0.1, 50, 0.05), detectable(0.1, 50, 0.05, spread=0.2)
    assert plain is not None
    assert wide is not None
    assert wide - plain == pytest.approx(0.1 * t.ppf(0.975, 49))
    assert detectable(0.1, 50, 0.05, spread=0.05) == plain


def test_an_effect_brings_discordance_of_its_own() -> None:
    """Of answers half right and half discordant (independent models) an effect adds none; of agreeing ones it does."""
    lone, independent = detectable_mcnemar(200, 0.5, 0.05), detectable_mcnemar(200, 0.5, 0.05, right=0.5)
    assert independent == pytest.approx(lone, abs=1e-4)
    plain, more = detectable_mcnemar(200, 0.1, 0.05), detectable_mcnemar(200, 0.1, 0.05, right=0.5)
    assert plain is not None
    assert more is not None
    assert more > plain
