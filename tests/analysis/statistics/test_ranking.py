"""Ranks over items and tasks: clear leaders lead, ties are shared, a task without gain measures nothing."""

from __future__ import annotations

import numpy as np
import pytest

from regimen.analysis.statistics.ranking import rank
from regimen.analysis.statistics.resampling import Resampled
from regimen.errors import DataError


def exact(value: float, seed: int = 0, spread: float = 0.0) -> Resampled:
    draws = value + spread * np.random.default_rng(seed).standard_normal(2000)
    return Resampled(value, draws, {})


def test_a_clear_leader_is_first_and_the_worst_task_is_named() -> None:
    gains = {
        "one": {"a": exact(1.0), "b": exact(0.5), "c": exact(-0.2)},
        "two": {"a": exact(0.8), "b": exact(0.1), "c": exact(0.0)},
    }
    first, second, third = rank(gains, seed=1)
    assert [r.name for r in (first, second, third)] == ["a", "b", "c"]
    assert (first.first, first.rank, first.rank_low, first.rank_high) == (1.0, 1.0, 1.0, 1.0)
    assert first.mean_gain == pytest.approx(0.9)
    assert (third.worst_task, third.worst_gain) == ("one", pytest.approx(-0.2))
    assert (first.gain_low, first.gain_high) == (pytest.approx(0.8), pytest.approx(1.0))


def test_a_lead_that_rests_on_one_task_is_not_certain() -> None:
    gains = {name: {"a": exact(1.0 if name == "0" else 0.0), "b": exact(0.15)} for name in map(str, range(5))}
    leader = next(r for r in rank(gains, seed=1) if r.name == "a")
    # a leads in the resamples that hold task 0 at least once: 1 - (4/5)^5
    assert leader.first == pytest.approx(1 - 0.8**5, abs=0.03)


def test_ties_are_shared() -> None:
    first, second = rank({"one": {"a": exact(0.5), "b": exact(0.5)}}, seed=1)
    assert (first.first, second.first, first.rank, second.rank) == (0.5, 0.5, 1.5, 1.5)


def test_a_strategy_without_a_task_cannot_be_ranked() -> None:
    with pytest.raises(DataError, match="b lacks a gain"):
        rank({"one": {"a": exact(1), "b": exact(0)}, "two": {"a": exact(1)}}, seed=1)
    with pytest.raises(DataError, match="no task"):
        rank({}, seed=1)
