"""A choice of the learning rate carried out: it is by validation rows, and the winner is the training of that rate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from regimen.engine import lockstep
from regimen.engine.optimiser import learning_rate
from regimen.plan import ChooseSpec, Plan, TrainSpec
from regimen.results import ChosenFacts, RunFolder, TrainedFacts, layout
from regimen.results.tables import RunTables
from regimen.results.tuning import tuning_rows
from regimen.study.schema import Schedule
from tests.support.inline_runs import assert_done, outcome_facts, run_inline
from tests.support.row_files import write
from tests.support.tuned_study import HERE, tuned_plan

HALVING = ("short: 0.4", "short: 0.4, budget: halving")
TUNE = "    tune: {learning_rate: [x/3, x, 3x], short: 0.4}\n"


def end_of(plan: Plan, name: str = "reviews") -> TrainSpec:
    planned = next(planned for planned in plan.experiments if planned.experiment.id == name)
    stage = plan.stages[planned.ends[-1]]
    assert isinstance(stage, TrainSpec)
    return stage


def adapter(plan: Plan, out: Path, name: str = "reviews") -> bytes:
    return (out / "stages" / end_of(plan, name).folder / "adapter_model.safetensors").read_bytes()


def chosen(plan: Plan, out: Path) -> list[ChosenFacts]:
    return [
        outcome_facts(plan, out, name, ChosenFacts)
        for name, stage in plan.stages.items()
        if isinstance(stage, ChooseSpec)
    ]


@pytest.fixture(scope="module")
def halved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    folder = tmp_path_factory.mktemp("halved")
    plan = tuned_plan(folder, HALVING, cohort_width=1)
    assert_done(run_inline(plan, folder / "run", here=HERE))
    return plan, folder / "run"


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """The same rates as experiments: in full, and at the lengths of both rungs, looked at at their ends."""
    folder = tmp_path_factory.mktemp("hand")
    grid = "    vary: {learning_rate: [0.0033333333333333335, 0.01, 0.03]}\n    validate: {}\n"
    plan = tuned_plan(folder, (TUNE, grid), ("steps: 40", "steps: [8, 16, 40]"), cohort_width=1)
    assert_done(run_inline(plan, folder / "run", here=HERE))
    return plan, folder / "run"


def test_the_winner_is_the_training_of_its_rate_bit_for_bit(
    halved: tuple[Plan, Path], by_hand: tuple[Plan, Path]
) -> None:
    """It went on twice from shorter trainings, and is the undisturbed one."""
    rate = chosen(*halved)[-1].candidates[0].learning_rate
    label = {0.01 / 3: "3.3333333333333335e-3", 0.01: "1e-2", 0.03: "3e-2"}[rate]
    assert adapter(*halved) == adapter(*by_hand, f"reviews-40~lr{label}")


def test_each_rung_ranks_by_the_loss_of_short_trainings(halved: tuple[Plan, Path], by_hand: tuple[Plan, Path]) -> None:
    plan, out = by_hand
    for facts, steps in zip(chosen(*halved), (8, 16), strict=True):
        losses = {}
        for planned in plan.experiments[1:]:
            if planned.steps == steps:
                trained = outcome_facts(plan, out, planned.ends[-1], TrainedFacts)
                losses[float(planned.experiment.varied["learning_rate"])] = trained.validation[-1].loss
        there = {one.learning_rate: one.loss for one in facts.candidates}
        assert there == {rate: losses[rate] for rate in there}, "bit for bit"
        assert list(there) == sorted(there, key=lambda rate: there[rate] or 0.0)
    first, second = chosen(*halved)
    assert {one.learning_rate for one in second.candidates} == {one.learning_rate for one in first.candidates[:2]}
    assert (first.first, second.first) == (7, 14)


def test_results_say_the_rate_that_was_chosen_and_all_that_was_read(
    halved: tuple[Plan, Path], by_hand: tuple[Plan, Path]
) -> None:
    plan, out = halved
    tables, hand = RunTables(RunFolder(out), plan), RunTables(RunFolder(by_hand[1]), by_hand[0])
    rate = chosen(plan, out)[-1].candidates[0].learning_rate
    columns = tables.run_columns("reviews")
    same = next(
        hand.run_columns(planned.experiment.id)
        for planned in by_hand[0].experiments[1:]
        if planned.steps == 40 and planned.experiment.varied["learning_rate"] == rate
    )
    assert columns.learning_rate == same.learning_rate == rate
    assert (columns.tokens, columns.epochs, columns.unique_rows) == (same.tokens, same.epochs, same.unique_rows)
    curve = tables.curves()["reviews"]
    assert [point["step"] for point in curve] == list(range(40))
    assert {point["leg"] for point in curve} == {1}


def test_rows_show_every_candidate_its_place_and_its_cost(halved: tuple[Plan, Path]) -> None:
    plan, out = halved
    rows = tuning_rows(plan, RunFolder(out).read(plan).outcomes)
    assert [(row.rung, row.place, row.fate, row.steps, row.steps_trained) for row in rows] == [
        (1, 1, "goes on", 8, 8),
        (1, 2, "goes on", 8, 8),
        (1, 3, "out", 8, 8),
        (2, 1, "chosen", 16, 9),
        (2, 2, "out", 16, 9),
    ]
    assert all(row.gpu_hours > 0 and row.value == row.validation_loss for row in rows)


def test_other_test_rows_change_no_choice(halved: tuple[Plan, Path], tmp_path: Path) -> None:
    """A choice is the same to the last bit, and so is what it hands on, whatever the test rows say."""
    lines = [json.loads(line) for line in (HERE / "data" / "reviews.jsonl").read_text().splitlines()]
    own_file = ("held_out: {share: 0.2}", "held_out: {files: [test.jsonl]}")
    found = []
    for word, flipped in (("one", 0), ("other", 1)):
        folder = tmp_path / word
        write(folder / "data" / "reviews.jsonl", lines)
        tests = [
            {"review": f"The {word} {n} was {'bad' if n % 2 else 'fine'}", "stars": 1 + 4 * ((n + flipped) % 2)}
            for n in range(24)
        ]
        write(folder / "test.jsonl", tests)
        plan = tuned_plan(folder, HALVING, own_file)
        assert_done(run_inline(plan, folder / "run", here=folder))
        ends = [(folder / "run" / "stages" / end_of(plan).folder / "adapter_model.safetensors").read_bytes()]
        found.append((chosen(plan, folder / "run"), ends))
    assert found[0] == found[1]


def test_runs_with_other_seeds_train_at_the_chosen_rate(tmp_path: Path) -> None:
    plan = tuned_plan(tmp_path, ("    steps: 40", "    seeds: 2\n    steps: 40"), ("short: 0.4", "short: 0.3"))
    assert_done(run_inline(plan, tmp_path / "run", here=HERE))
    rate = chosen(plan, tmp_path / "run")[0].candidates[0].learning_rate
    tables = RunTables(RunFolder(tmp_path / "run"), plan)
    assert [tables.run_columns(name).learning_rate for name in ("reviews", "reviews~s18")] == [rate, rate]
    assert [point["step"] for point in tables.curves()["reviews~s18"]] == list(range(40))
    assert adapter(plan, tmp_path / "run") != adapter(plan, tmp_path / "run", "reviews~s18")


@pytest.mark.parametrize("change", [("warmup_steps: 3", "warmup_steps: 3, type: linear"), ("short: 0.4", "short: 1")])
def test_whole_trainings_are_compared_too(tmp_path: Path, change: tuple[str, str]) -> None:
    plan = tuned_plan(tmp_path, ("steps: 40", "steps: 12"), change)
    assert_done(run_inline(plan, tmp_path / "run", here=HERE))
    best = chosen(plan, tmp_path / "run")[0].candidates[0]
    end = outcome_facts(plan, tmp_path / "run", end_of(plan).fingerprint, TrainedFacts)
    assert end.learning_rate == best.learning_rate


def broken_rates(rates: set[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of these peaks take infinite steps after their fourth."""

    def rate(step: int, peak: float, schedule: Schedule, stable: int | None, last: int) -> float:
        return float("inf") if peak in rates and step >= 4 else learning_rate(step, peak, schedule, stable, last)

    monkeypatch.setattr(lockstep, "learning_rate", rate)


def test_a_candidate_that_diverges_loses_and_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken_rates({0.01, 0.03}, monkeypatch)
    plan = tuned_plan(tmp_path, HALVING)
    assert_done(run_inline(plan, tmp_path / "run", here=HERE))
    first, second = chosen(plan, tmp_path / "run")
    assert [one.value is None for one in first.candidates] == [False, True, True]
    assert [one.value is None for one in second.candidates] == [False, True], "the second place diverged before"
    assert "the loss of step 5 is nan" in (first.candidates[1].diverged or "")
    fates = [row.fate for row in tuning_rows(plan, RunFolder(tmp_path / "run").read(plan).outcomes)]
    assert fates == ["goes on", "diverged", "diverged", "chosen", "diverged"]


def test_where_all_diverge_the_experiment_fails_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_rates({0.01 / 3, 0.01, 0.03}, monkeypatch)
    plan = tuned_plan(tmp_path)
    scheduler = run_inline(plan, tmp_path / "run", here=HERE)
    (error,) = scheduler.errors.values()
    assert "all 3 candidates of `tune` diverged (the loss of step 5 is nan" in error
    assert error.endswith("give lower rates")


def test_the_headline_can_choose(tmp_path: Path) -> None:
    plan = tuned_plan(tmp_path, ("experiments:", "validate: {by: headline, at_most: 20}\nexperiments:"))
    assert_done(run_inline(plan, tmp_path / "run", here=HERE))
    (facts,) = chosen(plan, tmp_path / "run")
    assert facts.by == "headline"
    scores = [one.scores["reviews"] for one in facts.candidates]
    assert scores == sorted(scores, key=lambda score: -(score or 0.0))
    assert [one.value for one in facts.candidates] == [-(score or 0.0) for score in scores]


def test_a_state_that_was_handed_on_is_checked(halved: tuple[Plan, Path], tmp_path: Path) -> None:
    plan, out = halved
    again = tmp_path / "run"
    shutil.copytree(out, again)
    choice = next(stage for stage in plan.stages.values() if isinstance(stage, ChooseSpec))
    (again / "stages" / choice.folder / layout.state_at(1)).write_bytes(b"damaged")
    assert_done(run_inline(plan, again, here=HERE))
    assert adapter(plan, again) == adapter(plan, out), "the choice is made again, and the same"
