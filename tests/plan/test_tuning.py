"""The plan of a choice: its stages, what they share and cost, and that no test row leads to it."""

from __future__ import annotations

from pathlib import Path

from regimen.plan import ChooseSpec, EvaluateSpec, ItemsSpec, Plan, PrepareSpec, TrainSpec, parse_spec
from regimen.study import load_study
from tests.support.tuned_study import tuned_plan

HALVING = ("short: 0.4", "short: 0.4, budget: halving")


def choices(plan: Plan) -> list[ChooseSpec]:
    return [stage for stage in plan.stages.values() if isinstance(stage, ChooseSpec)]


def trained(plan: Plan, part: str) -> list[tuple[int, int]]:
    return [(stage.first_step, stage.last_step) for stage in plan.trainings() if stage.part == part]


def test_equal_budgets_train_every_candidate_to_one_length_and_the_best_on(tmp_path: Path) -> None:
    plan = tuned_plan(tmp_path)
    assert trained(plan, "trunk") == [(0, 14)] * 3 + [(14, 36)]
    assert trained(plan, "cooldown") == [(14, 16)] * 3 + [(36, 40)]
    assert plan.steps_to_run == 3 * 16 + 26
    (choice,) = choices(plan)
    assert [one.learning_rate for one in choice.candidates] == [0.01 / 3, 0.01, 0.03]
    assert all(stage.leg.candidate for stage in plan.trainings() if stage.leg.tuned is None)


def test_halving_goes_on_from_the_shorter_rung(tmp_path: Path) -> None:
    plan = tuned_plan(tmp_path, HALVING)
    assert trained(plan, "trunk") == [(0, 7)] * 3 + [(7, 14)] * 2 + [(14, 36)]
    assert trained(plan, "cooldown") == [(7, 8)] * 3 + [(14, 16)] * 2 + [(36, 40)]
    first, second = choices(plan)
    assert [one.tuned and (one.tuned.choice, one.tuned.place) for one in second.candidates] == [
        (first.fingerprint, 1),
        (first.fingerprint, 2),
    ]
    assert plan.steps_to_run == 3 * 8 + 2 * 9 + 26


def test_candidates_of_a_rung_train_in_one_cohort(tmp_path: Path) -> None:
    plan = tuned_plan(tmp_path, HALVING, cohort_width=8)
    widths = [len(cohort.stages) for cohort in plan.cohorts if cohort.kind == "train"]
    assert widths == [3, 3, 2, 2, 1, 1]


def test_hours_are_those_of_all_candidates_but_what_the_best_shares(tmp_path: Path) -> None:
    plan = tuned_plan(tmp_path)
    planned = plan.experiments[1]
    assert planned.tuning is not None
    assert planned.steps == 40
    assert planned.tuning.steps == 48
    assert planned.gpu_hours == (40 + 48 - 14) / plan.steps_per_gpu_hour
    shown = plan.to_json()["experiments"][1]["tuning"]  # type: ignore[index]
    assert shown["rungs"] == [{"candidates": 3, "steps": 16, "stay": 1}]
    assert (shown["budget"], shown["steps"], shown["gpu_hours"]) == ("equal", 48, 0.024)


def test_a_schedule_without_a_trunk_begins_anew(tmp_path: Path) -> None:
    plan = tuned_plan(tmp_path, HALVING, ("warmup_steps: 3", "warmup_steps: 3, type: cosine"))
    assert trained(plan, "trunk") == []
    assert trained(plan, "cooldown") == [(0, 8)] * 3 + [(0, 16)] * 2 + [(0, 40)]
    assert all(candidate.trunk is None for choice in choices(plan) for candidate in choice.candidates)


def test_runs_of_a_recipe_share_its_choice(tmp_path: Path) -> None:
    """The first goes on from the best candidate; the others have other seeds, so they take its rate alone."""
    plan = tuned_plan(tmp_path, ("    steps: 40", "    seeds: 3\n    steps: 40"))
    (choice,) = choices(plan)
    ends = [plan.stages[planned.ends[0]] for planned in plan.experiments[1:]]
    assert {end.leg.tuned.choice for end in ends if isinstance(end, TrainSpec) and end.leg.tuned} == {
        choice.fingerprint
    }
    firsts = [plan.stages[planned.trainings[0]] for planned in plan.experiments[1:]]
    assert [one.first_step for one in firsts if isinstance(one, TrainSpec)] == [14, 0, 0]
    assert [round(p.gpu_hours * plan.steps_per_gpu_hour) for p in plan.experiments[1:]] == [74, 40, 40]


def test_a_ladder_shares_the_short_trainings_of_each_rate(tmp_path: Path) -> None:
    plan = tuned_plan(tmp_path, ("steps: 40", "steps: [40, 80]"))
    assert trained(plan, "trunk")[:3] == [(0, 14)] * 3
    assert (14, 28) in trained(plan, "trunk"), "the longer one's candidates go on from those of the shorter"


def test_only_what_a_choice_needs_is_planned(tmp_path: Path) -> None:
    tuned_plan(tmp_path, ("    steps: 40", "    seeds: 3\n    steps: 40"))
    from regimen.plan import compile_plan

    plan = compile_plan(load_study(tmp_path / "study.yaml"), only=["reviews~s18"])
    assert [planned.experiment.id for planned in plan.experiments] == ["reviews~s18"]
    assert len(choices(plan)) == 1
    assert all(given in plan.stages for stage in plan.stages.values() for given in stage.inputs)


def test_no_test_row_leads_to_a_choice(tmp_path: Path) -> None:
    """What a choice needs holds no evaluation, and test items only as texts that training rows are cleaned of."""
    plan = tuned_plan(tmp_path, HALVING)
    left = [choice.fingerprint for choice in choices(plan)]
    seen: set[str] = set()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        stage = plan.stages[name]
        assert not isinstance(stage, EvaluateSpec)
        if isinstance(stage, ItemsSpec):
            assert stage.purpose == "avoid" or stage.side == "validation"
        if not isinstance(stage, PrepareSpec):  # which looks for test items only to leave them out
            left += stage.inputs
        elif stage.source_name == "reviews":
            assert stage.side in ("train", "validation")
    assert not any(isinstance(plan.stages[name], ItemsSpec) for name in seen)


def test_stages_are_read_back_from_their_messages(tmp_path: Path) -> None:
    for stage in tuned_plan(tmp_path, HALVING).stages.values():
        again = parse_spec(stage.model_dump(mode="json"))
        assert again == stage
        assert again.fingerprint == stage.fingerprint
