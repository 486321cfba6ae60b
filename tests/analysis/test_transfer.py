"""GEM's measures against their closed forms, and strategies read off recipes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.analysis.strategies import recipe_hours, recipe_steps, strategies, strategy_of
from regimen.analysis.transfer import backward_transfer, forgetting, forward_transfer
from regimen.plan import Plan

# R[t, i]: after stage t on the task of stage i
SCORES = np.array([[0.8, 0.3, 0.2], [0.6, 0.9, 0.25], [0.7, 0.8, 0.95]])


def test_gems_measures_by_hand() -> None:
    assert backward_transfer(SCORES) == pytest.approx(((0.7 - 0.8) + (0.8 - 0.9)) / 2)
    assert forward_transfer(SCORES, [0.1, 0.2, 0.2]) == pytest.approx(((0.3 - 0.2) + (0.25 - 0.2)) / 2)
    assert forgetting(SCORES) == pytest.approx([0.8 - 0.7, 0.9 - 0.8])


def test_forgetting_counts_from_the_best_and_not_from_the_stage_itself() -> None:
    scores = np.array([[0.5, 0.0, 0.0], [0.9, 0.5, 0.0], [0.6, 0.7, 0.5]])
    assert forgetting(scores) == pytest.approx([0.9 - 0.6, 0.5 - 0.7])


def test_one_stage_transfers_nothing() -> None:
    assert math.isnan(backward_transfer(np.array([[0.5]])))
    assert math.isnan(forward_transfer(np.array([[0.5]]), [0.1]))


@given(st.integers(2, 6), st.floats(-1, 1), st.integers(0, 1000))
def test_closed_forms(stages: int, shift: float, seed: int) -> None:
    """R[t, i] = a_i + shift (t - i) for t >= i: BWT is shift times the mean distance to the end."""
    random = np.random.default_rng(seed)
    base = random.random(stages)
    scores = np.array([[base[i] + shift * (t - i) for i in range(stages)] for t in range(stages)])
    assert backward_transfer(scores) == pytest.approx(shift * stages / 2)
    assert forward_transfer(scores, base.tolist()) == pytest.approx(-shift)


def test_strategies_of_the_plan(full_plan: Plan) -> None:
    found = strategies(full_plan.study)
    assert {name: len(ids) for name, ids in found.items()} == {
        "zero-shot": 10,
        "general pretraining": 10,
        "domain pretraining": 13,
        "cross-domain pretraining": 7,
        "direct fine-tuning": 12,
        "multi-task": 10,
        "sequential": 6,
        "combination": 4,
    }
    assert sum(len(ids) for ids in found.values()) == 72
    study = full_plan.study
    wanted = {
        "3c-3-finance-pretrain": "domain pretraining",
        "3c-4-math-pretrain": "cross-domain pretraining",
        "3c-5-financial-domain": "combination",
        "3c-3-sentiment": "combination",
        "3c-1-imdb": "direct fine-tuning",
        "3c-6-glue": "sequential",
    }
    assert {name: strategy_of(study, study.experiment(name)) for name in wanted} == wanted


def test_a_recipe_costs_what_it_starts_from_as_well(full_plan: Plan) -> None:
    study = full_plan.study
    last = study.experiment("3c-3-sentiment")
    assert recipe_steps(study, last) == 40 + 20  # 10,000 and 5,000 by 250
    assert recipe_hours(full_plan, last) == pytest.approx(60 / 2000)
    assert recipe_hours(full_plan, study.experiment("1-math")) == study.cost.baseline_gpu_hours
