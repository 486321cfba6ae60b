"""A contrast's estimate, interval, p and detectable effect stand together and say what they can."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from regimen.analysis.contrasts import compare
from regimen.analysis.rules import Rules
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.study import EndPoint, Pair
from tests.support.item_scores import binary, coins, scores_of

PAIR = Pair(of=EndPoint("x"), against=EndPoint("y"), task="quiz")


def test_a_clear_effect_by_hand() -> None:
    scores = scores_of({"x": [1.0] * 30 + [0.0] * 10, "y": [0.0] * 20 + [1.0] * 10 + [0.0] * 10})
    found = compare({"c": [PAIR]}, {"quiz": scores}, Rules(seed=1))["c"]
    assert found.estimate == pytest.approx(0.5)
    assert found.p == pytest.approx(2 / 2**20)
    assert (found.items, found.clusters, found.test) == (40, 40, "exact McNemar")
    assert found.low < 0.5 < found.high
    assert found.outcome == "better"
    assert found.statement().startswith("better by 0.500 (interval 0.")


def test_no_difference_names_what_could_have_been_seen() -> None:
    scores = scores_of({"x": coins(1, 200, 0.5), "y": coins(2, 200, 0.5)})
    found = compare({"c": [PAIR]}, {"quiz": scores}, Rules(seed=1))["c"]
    assert found.outcome == "undecided"
    assert found.mde is not None
    assert found.statement().startswith(f"undecided (interval {found.low:.3f} to {found.high:.3f}; no margin")
    assert found.statement().endswith(f"an effect of {found.mde:.3f} would have been seen with a power of 80%)")


def test_too_few_items_say_so() -> None:
    scores = scores_of({"x": [1.0] * 4, "y": [1.0, 0.0, 0.0, 1.0]})
    found = compare({"c": [PAIR]}, {"quiz": scores}, Rules(seed=1))["c"]
    assert found.mde is None
    assert found.statement().endswith("with so few items an effect of any size could be missed)")
    assert found.note.startswith("2 of 4 clusters differ, and 6 must")


def test_equal_answers_are_degenerate_and_never_equivalent() -> None:
    same = coins(3, 50, 0.5)
    found = compare({"c": [PAIR]}, {"quiz": scores_of({"x": same, "y": same})}, Rules(seed=1))["c"]
    assert found.degenerate
    assert found.p == 1.0
    assert found.outcome == "undecided"


@pytest.mark.parametrize(("items", "outcome"), [(100, "undecided"), (2000, "equivalent")])
def test_equivalence_needs_the_items_to_say_so(items: int, outcome: str) -> None:
    """Each side alone right on 1 item of 100: 100 items do not rule 0.02 out, 2,000 do."""
    few = items // 100
    x, y = [1.0] * few + [0.0] * few + [1.0] * (items - 2 * few), [0.0] * few + [1.0] * few + [1.0] * (items - 2 * few)
    found = compare({"c": [PAIR]}, {"quiz": scores_of({"x": x, "y": y})}, Rules(seed=1), margins={"c": 0.02})["c"]
    assert found.outcome == outcome
    assert (found.inner_low, found.inner_high) == (pytest.approx(-found.inner_high), pytest.approx(-found.inner_low))
    assert found.inner_low <= found.estimate <= found.inner_high
    if outcome == "equivalent":
        assert found.statement().startswith("equivalent (90% interval ")
        assert found.statement().endswith("inside the margin of 0.02)")


@given(items=st.integers(20, 120), ahead=st.integers(0, 6), behind=st.integers(0, 6))
@settings(max_examples=25, deadline=None)
def test_the_bound_is_never_below_the_exact_one(items: int, ahead: int, behind: int) -> None:
    """Where only one side wins items, no bound is below Clopper and Pearson's (to a tenth of an item)."""
    x = [1.0] * ahead + [0.0] * behind + [1.0] * (items - ahead - behind)
    y = [0.0] * ahead + [1.0] * behind + [1.0] * (items - ahead - behind)
    rules = Rules(seed=1, resamples=500, swaps=99)
    found = compare({"c": [PAIR]}, {"quiz": scores_of({"x": x, "y": y})}, rules, margins={"c": 0.02})["c"]
    if not behind:
        assert found.inner_high >= beta.ppf(0.95, ahead + 1, items - ahead) - 0.1 / items
    assert found.inner_low <= found.estimate <= found.inner_high


def test_the_family_is_what_was_declared() -> None:
    scores = {"quiz": scores_of({"x": [1.0] * 8 + [0.0] * 22, "y": [0.0] * 30})}
    lone = compare({"c": [PAIR]}, scores, Rules(seed=1))["c"]
    family = compare({"c": [PAIR]}, scores, Rules(seed=1, declared=20))["c"]
    assert lone.p == family.p
    assert family.p_adjusted == pytest.approx(min(1.0, 20 * lone.p))
    assert (lone.low, lone.high) == (family.low, family.high)
    assert family.mde is None or lone.mde is None or family.mde > lone.mde


def test_a_mean_over_tasks_weighs_tasks_alike() -> None:
    one = TaskScores.from_rows("one", "exact-match", {"x": binary([1.0] * 10), "y": binary([0.0] * 10)})
    two = TaskScores.from_rows("two", "exact-match", {"x": binary(coins(1, 90, 0.5)), "y": binary(coins(1, 90, 0.5))})
    pairs = [Pair(of=EndPoint("x"), against=EndPoint("y"), task=task) for task in ("one", "two")]
    found = compare({"c": pairs}, {"one": one, "two": two}, Rules(seed=1, swaps=999))["c"]
    assert found.estimate == pytest.approx(0.5)
    assert (found.items, found.clusters) == (100, 100)


def test_equal_inputs_give_equal_results() -> None:
    random = np.random.default_rng(4)
    scores = {"quiz": scores_of({"x": random.random(40).tolist(), "y": random.random(40).tolist()})}
    assert compare({"c": [PAIR]}, scores, Rules(seed=1)) == compare({"c": [PAIR]}, scores, Rules(seed=1))
