"""Sign flips over blocks against scipy and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from regimen.analysis.statistics.blocks import LEAST, flip_p, mean_interval


def test_flips_are_scipys_permutations_of_one_sample() -> None:
    for seed in range(5):
        values = np.random.default_rng(seed).normal(0.3, 1, 8)
        wanted = stats.permutation_test(
            (values,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", n_resamples=10**6
        )
        assert flip_p(values.tolist()) == pytest.approx(min(1.0, wanted.pvalue))


def test_six_blocks_are_the_fewest_that_can_be_clear() -> None:
    assert flip_p([0.1] * LEAST) == 2 / 2**6
    assert flip_p([0.1] * (LEAST - 1)) > 0.05
    assert flip_p([]) == 1.0
    assert flip_p([0.0] * 8) == 1.0


def test_many_blocks_are_flipped_at_random() -> None:
    values = np.random.default_rng(1).normal(0.4, 1, 30).tolist()
    wanted: Any = stats.ttest_1samp(values, 0)
    assert flip_p(values) == pytest.approx(wanted.pvalue, abs=0.01)


def test_the_interval_is_students() -> None:
    values = [0.1, 0.3, -0.2, 0.4]
    wanted = stats.t.interval(0.9, 3, np.mean(values), stats.sem(values))
    assert mean_interval(values, 0.9) == pytest.approx(wanted)
    assert mean_interval([0.1], 0.9) == (-np.inf, np.inf)
