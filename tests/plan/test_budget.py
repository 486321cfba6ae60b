"""The best subset under a budget: never over, optimal against trying everything, and open about what it leaves open."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regimen.api import load_and_compile
from regimen.errors import UsageError
from regimen.plan import Plan, compile_plan
from regimen.plan.budget import CROSSED, Need, choose_within, is_met, needs_of, subset_hours
from regimen.study import load_study
from tests.support.studies import MINIMAL

STUDY = load_study("qwen2-finance", "full")
PLAN = compile_plan(STUDY)
BY_ID = {planned.experiment.id: planned for planned in PLAN.experiments}


def worth(plan: Plan, chosen: set[str]) -> tuple[int, int, int, float]:
    """What is sought, in order, as stated in words at the head of the module: written anew, without variables."""
    needs = needs_of(plan)
    every: dict[str, Need] = {need.id: need for wanted in needs.values() for need in wanted}
    answered = sum(all(is_met(need, chosen) for need in wanted) for wanted in needs.values())
    met = sum(is_met(need, chosen) for need in every.values())
    return answered, met, len(chosen), -round(subset_hours(plan, tuple(chosen)), 6)


def closed(names: set[str]) -> bool:
    return all(BY_ID[name].experiment.start_from in {None, *names} for name in names)


@settings(max_examples=25, deadline=None)
@example({"1-code"}, 0.9999999999999999)  # a budget that falls short by a rounding
@given(st.sets(st.sampled_from(sorted(BY_ID)), min_size=1, max_size=7), st.floats(0.01, 1.0))
def test_it_is_as_good_as_the_best_of_all_subsets(picked: set[str], share: float) -> None:
    for name in list(picked):
        while (start := BY_ID[name].experiment.start_from) is not None:
            picked.add(start)
            name = start
    small = replace(PLAN, experiments=tuple(p for p in PLAN.experiments if p.experiment.id in picked))
    budget = share * subset_hours(small, tuple(picked))
    subsets = [set(c) for size in range(1, len(picked) + 1) for c in combinations(sorted(picked), size)]
    fitting = [s for s in subsets if closed(s) and subset_hours(small, tuple(s)) <= budget + 1e-9]
    if not fitting:
        with pytest.raises(UsageError, match="the cheapest experiment takes"):
            choose_within(small, budget)
        return
    choice = choose_within(small, budget)
    assert choice.hours <= budget + 1e-9
    assert closed(set(choice.chosen))
    assert worth(small, set(choice.chosen)) == max(worth(small, s) for s in fitting)


@pytest.mark.parametrize(
    ("hours", "answerable"),
    [(20, {"RQ5"}), (150, {"RQ3", "RQ5"}), (200, {"RQ1", "RQ3", "RQ5"}), (262, {"RQ1", "RQ2", "RQ3", "RQ5"})],
)
def test_the_plan_within_a_budget(hours: float, answerable: set[str]) -> None:
    plan = load_and_compile("qwen2-finance", budget_hours=hours)
    assert plan.budget is not None
    assert plan.totals["gpu_hours_to_run"] <= hours
    assert plan.totals["gpu_hours_to_run"] == pytest.approx(plan.budget.hours), "shared trunks are paid for once"
    assert {p.experiment.id for p in plan.experiments} == set(plan.budget.chosen)
    assert set(plan.budget.answerable) == answerable
    assert set(plan.budget.open) == set(STUDY.questions) - answerable
    assert len(plan.budget.chosen) + len(plan.budget.left_out) == 72
    for titles in plan.budget.open.values():
        assert titles


def test_what_a_verdict_rests_on() -> None:
    needs = needs_of(PLAN)
    assert [need.id for need in needs["RQ1"]] == [contrast.id for contrast in STUDY.questions["RQ1"].contrasts]
    assert [sorted(map(sorted, need.groups)) for need in needs["RQ1"]][-1] == [
        ["3a-financial-sentiment"], ["3c-3-sentiment"],
    ]  # fmt: skip
    assert [need.title for need in needs["RQ4"]] == [CROSSED], "no choice among the 72 answers it"


def test_a_crossed_track_answers_the_question_of_strategies() -> None:
    crossed = compile_plan(STUDY, track="crossed")
    needs = needs_of(crossed)["RQ4"]
    assert len(needs) == 6 * 4
    assert [len(group) for group in needs[0].groups] == [3, 3], "one run of each source's own model is enough"
    choice = choose_within(crossed, 35)
    assert "RQ4" in choice.answerable
    assert choice.hours <= 35


def test_a_gain_over_zero_shot_needs_the_baseline(tmp_path: Path) -> None:
    contrast = "{id: helped, of: tune-20, against: zero-shot, tasks: [mood]}"
    asked = f"questions: {{Q: {{question: Does it help, contrasts: [{contrast}]}}}}"
    (tmp_path / "study.yaml").write_text(f"{MINIMAL}{asked}\n", encoding="utf-8")
    plan = compile_plan(load_study(tmp_path / "study.yaml"))
    assert [sorted(group) for group in needs_of(plan)["Q"][0].groups] == [["1-mood"], ["tune-20"]]
    both = subset_hours(plan, ("1-mood", "tune-20"))
    assert choose_within(plan, both).answerable == ("Q",)
    less = choose_within(plan, both - 0.005)
    assert (less.answerable, list(less.open)) == ((), ["Q"])


def test_too_little_is_said() -> None:
    with pytest.raises(UsageError, match=r"--budget-hours is 0.1; the cheapest experiment takes 0.17 hours"):
        choose_within(PLAN, 0.1)


def test_without_a_budget_no_solver_is_loaded() -> None:
    code = (
        "import sys; from regimen.api import load_and_compile; load_and_compile('qwen2-finance'); "
        "print({'scipy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
