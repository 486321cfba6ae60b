"""What a plan says that its contrasts can tell: against statsmodels, a simulation, and its own needs put back."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp
from statsmodels.stats.power import TTestPower

from regimen import compile_plan, load_study
from regimen.plan import Plan
from regimen.plan.power import SPREADS, ContrastPower, contrast_power, power_of
from regimen.study.margins import SHARE
from tests.support.studies import with_fields

EXAMPLE = Path(__file__).parents[2] / "examples" / "rows-and-seeds.yaml"
ITEM, SEED = SPREADS[SHARE].items, SPREADS[SHARE].seeds


@cache
def example(seeds: int = 3, margin: float = 0.1) -> Plan:
    """One contrast between two trained recipes on one task; no epochs, which would be counted from files."""
    study = load_study(EXAMPLE, seeds=seeds)
    plain = tuple(one for one in study.experiments if one.phase != "rates")
    return compile_plan(with_fields(study, experiments=plain, margin={"accuracy": margin}))


def one(plan: Plan, items: int) -> ContrastPower:
    (found,) = power_of(plan, {"reviews": items})
    return found


def test_the_effect_in_these_runs_is_that_of_a_paired_t_test() -> None:
    """statsmodels solves for the effect with the noncentral t, of which the formula is an approximation."""
    found = one(example(), 164)
    oracle = TTestPower().solve_power(nobs=164, alpha=0.05, power=0.8) * ITEM
    assert found.detectable_in_these_runs == pytest.approx(oracle, rel=0.01)
    assert found.detectable == pytest.approx(2.82 * math.sqrt(ITEM**2 / 164 + 2 * SEED**2 / 3), rel=0.01)


def test_an_effect_of_that_size_is_found_four_times_in_five() -> None:
    """Items and seeds simulated: 300 items, one run of each of two recipes."""
    found = one(example(seeds=1), 300)
    assert found.detectable is not None
    random = np.random.default_rng(5)
    share = 0.0
    for _ in range(2000):
        shift = found.detectable + random.normal(0, SEED) - random.normal(0, SEED)
        edge = 1.96 * math.sqrt(ITEM**2 / 300 + 2 * SEED**2)
        share += abs(random.normal(shift, ITEM, 300).mean()) > edge
    assert share / 2000 == pytest.approx(0.8, abs=0.03)
    scores = random.normal(found.detectable_in_these_runs or 0.0, ITEM, (1000, 300))
    _, p = ttest_1samp(scores, 0, axis=1)
    assert (np.asarray(p) <= 0.05).mean() == pytest.approx(0.8, abs=0.04)


@settings(deadline=None)
@given(st.integers(20, 5000), st.integers(1, 5), st.sampled_from([0.005, 0.02, 0.1, 0.3]))
def test_what_is_needed_is_enough(items: int, seeds: int, margin: float) -> None:
    study = example(margin=margin).study
    (contrast,) = study.questions["Q1"].contrasts

    def put_back(items: int, seeds: int) -> ContrastPower:
        runs = {"reviews~rowsall": seeds, "reviews~rows10": seeds}
        return contrast_power(study, "Q1", contrast, {"reviews": items}, runs)

    found = put_back(items, seeds)
    if found.can_tell:
        assert found.need == ""
        return
    assert found.needed_runs is not None
    assert found.needed_items is not None
    assert found.needed_items > items or found.needed_runs > seeds
    again = put_back(found.needed_items, found.needed_runs)
    assert again.can_tell or again.detectable == pytest.approx(margin, rel=0.01)


def test_the_sentence_says_what_there_is_and_what_is_missing() -> None:
    assert one(example(), 124).statement == (
        "reviews~rowsall against reviews~rows10, reviews: 124 items and 3 runs of each recipe detect 0.13; a margin of "
        "0.1 would need 210 items."
    )
    few = one(example(), 4)
    assert few.can_tell is False
    assert few.statement.endswith("4 items are too few for any difference to be clear.")
    unknown = power_of(example(), {})[0]
    assert unknown.can_tell is None
    assert unknown.statement.endswith("the number of test items of reviews is not known.")


def test_the_packaged_study_is_told_before_a_gpu_hour_is_spent() -> None:
    command = [sys.executable, "-m", "regimen", "plan", "qwen2-finance", "--json"]
    document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    power = {entry["contrast"]: entry for entry in document["power"]}
    study = load_study("qwen2-finance")
    assert set(power) == {c.id for q in study.questions.values() for c in q.contrasts if c.pairs}
    code = power["rq3-forward:3a-math:code"]
    assert (code["items"], code["runs"], code["margin"], code["declared"]) == (164, 1, 0.05, 105)
    assert code["can_tell"] is False
    # the family of 105: z(1 - 0.05 / 210) + z(0.8) = 3.49 + 0.84, and half a point on each of 164 items
    assert code["detectable_in_these_runs"] == pytest.approx(4.34 * 0.5 / math.sqrt(164), rel=0.03)


def test_rows_of_a_users_own_files_are_counted() -> None:
    command = [sys.executable, "-m", "regimen", "plan", str(EXAMPLE), "--json"]
    document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    (entry,) = document["power"]
    assert entry["items"] == 124
