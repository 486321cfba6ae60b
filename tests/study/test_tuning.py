"""A choice of the learning rate as it is written: candidates, rungs, and every fault in one sentence with its line."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.errors import StudyError
from regimen.study import Study, dump_study, load_study
from regimen.study.adjust import adjusted_study
from regimen.study.schema import stable_steps
from regimen.study.tuning import Tune, TuneFault
from tests.support.tuned_study import TUNED


def loaded(folder: Path, old: str = "", new: str = "") -> Study:
    assert old in TUNED
    path = folder / "study.yaml"
    path.write_text(TUNED.replace(old, new, 1) if old else TUNED)
    return load_study(path)


def test_rates_stand_to_the_usual_one_exactly(tmp_path: Path) -> None:
    study = loaded(tmp_path, "[x/3, x, 3x]", "[3x, x/3, 0.5x, x, 2.5e-3]")
    tune = study.experiment("reviews").tune
    assert tune is not None
    usual = Fraction("0.01")
    assert tune.rates == (0.0025, float(usual / 3), 0.005, 0.01, float(3 * usual))
    assert study.learning_rate_of(study.experiment("reviews"), "finetune") is None


def test_a_resolved_study_is_read_back(tmp_path: Path) -> None:
    study = loaded(tmp_path, "short: 0.4", "short: 0.4, on: validation, budget: halving")
    (tmp_path / "again.yaml").write_text(dump_study(study))
    assert load_study(tmp_path / "again.yaml") == study


def test_the_group_s_own_rate_is_the_usual_one(tmp_path: Path) -> None:
    tune = loaded(tmp_path, "    tune:", "    learning_rate: 2.0e-3\n    tune:").experiment("reviews").tune
    assert tune is not None
    assert tune.rates[1] == 2e-3


RATES = "[x/3, x, 3x]"
SHORT = "short: 0.4"
TUNE = "line 21, experiments[1].tune"
FAULTS = [
    (RATES, "[0, 0.1]", f"{TUNE}.learning_rate: a learning rate of 0 trains nothing; candidates lie above 0"),
    (RATES, "[x, 100x]", f"{TUNE}: a candidate is a learning rate of 1;"),
    (RATES, "[x, x/0]", f"{TUNE}: the learning rate 'x/0' divides by 0;"),
    (RATES, "[x, 0.01]", f"{TUNE}: two candidates are the same rate (0.01, 0.01)"),
    (RATES, "[x]", f"{TUNE}.learning_rate: `tune` needs a list of 2 to 64 learning rates"),
    (RATES, "[fast, x]", f"{TUNE}.learning_rate: 'fast' is no learning rate;"),
    (SHORT, "short: 0.01", "have 1 steps of 40, which do not get past the warm-up of 3; raise `short` (it is 0.01)"),
    (SHORT, "short: 0", f"{TUNE}.short: input should be greater than 0"),
    (SHORT, "on: test", f"{TUNE}.on: a choice looks at validation rows alone, not at 'test'"),
    (SHORT, "sort: 0.4", f"{TUNE}.sort: this key is not known here"),
    (SHORT, "adapter.rank: [1, 2]", f"{TUNE}: `tune` chooses the learning rate alone; let adapter.rank vary"),
    ("    validation: {share: 0.2}\n", "", "`tune` chooses on validation rows, and 'reviews' has none; give that"),
    ("every-task", "every-task, tune: {learning_rate: [x, 3x]}", "line 16, experiments[0].tune: a baseline trains"),
    ("    tune:", "    vary: {learning_rate: [0.1]}\n    tune:", "`tune` or the axis `learning_rate`, not both"),
]


@pytest.mark.parametrize(("old", "new", "fault"), FAULTS)
def test_faults_say_value_line_and_remedy(tmp_path: Path, old: str, new: str, fault: str) -> None:
    with pytest.raises(StudyError) as raised:
        loaded(tmp_path, old, new)
    assert len(raised.value.faults) == 1
    assert raised.value.faults[0].startswith("line ")
    assert fault in raised.value.faults[0]


def test_a_training_of_several_legs_is_refused(tmp_path: Path) -> None:
    old = "    steps: 40\n    finetune: {reviews: reviews}\n"
    new = "    id: two\n    legs: [{finetune: reviews, steps: 20}, {finetune: reviews, steps: 20}]\n"
    with pytest.raises(StudyError, match="'two' has 2 legs; `tune` chooses the learning rate of trainings of one leg"):
        loaded(tmp_path, old, new)


LISTS = st.lists(st.floats(1e-6, 0.9), min_size=2, max_size=40, unique=True).map(tuple)


@given(LISTS, st.integers(40, 50_000), st.floats(0.05, 1), st.sampled_from(["equal", "halving"]))
def test_rungs_double_the_steps_and_halve_the_candidates(
    rates: tuple[float, ...], steps: int, short: float, budget: Literal["equal", "halving"]
) -> None:
    tune = Tune(learning_rate=rates, short=short, budget=budget)
    try:
        rungs = tune.rungs(steps, lambda count: stable_steps(count, 0.1), 1)
    except TuneFault:
        return
    assert rungs[0].candidates == len(rates)
    assert rungs[-1].stay == 1
    assert rungs[-1].steps == max(1, round(short * steps)) <= steps
    for one, after in pairwise(rungs):
        assert after.candidates == one.stay == -(-one.candidates // 2)
        assert abs(after.steps - 2 * one.steps) <= 1
        assert stable_steps(after.steps, 0.1) > stable_steps(one.steps, 0.1) > 1


def test_a_lower_rate_is_lower_for_every_candidate(tmp_path: Path) -> None:
    """What the gate advises reaches the candidates too."""
    study = loaded(tmp_path)
    changed = adjusted_study(study, [{"field": "schedule.learning_rate", "change": 0.5}]).experiment("reviews").tune
    before = study.experiment("reviews").tune
    assert before is not None
    assert changed is not None
    assert changed.rates == tuple(rate / 2 for rate in before.rates)


def test_runs_of_a_recipe_show_a_fault_once(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as raised:
        loaded(
            tmp_path,
            f"    tune: {{learning_rate: {RATES}, {SHORT}",
            "    seeds: 3\n    tune: {learning_rate: [x, 3x], short: 0.01",
        )
    assert len(raised.value.faults) == 1
