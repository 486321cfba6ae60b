"""Training as stages do it: sharing, chains, full fine-tuning, checkpoints; on the tiny base and the miniature."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from regimen.engine.checkpoints import checkpoint_path, checkpoint_steps
from regimen.engine.locate import locate_base
from regimen.engine.lockstep import Lockstep
from regimen.plan import Plan, TrainSpec, compile_plan
from regimen.results import EvaluatedFacts, TrainedFacts
from regimen.stages import train
from regimen.study import Study, load_study
from regimen.study.schema import Adapter, Experiment, Leg
from tests.support.inline_runs import assert_done, outcome_facts, run_inline
from tests.support.studies import with_experiments, with_fields

TASKS = ["sst2"]


@pytest.fixture(scope="module")
def demo() -> Study:
    return load_study("qwen2-finance", "demo")


def tune(name: str, steps: int, source: str = "glue-sst2", start: str | None = None, **more: Any) -> Experiment:
    leg = Leg(kind="finetune", mixture={source: 100.0}, steps=steps)
    return Experiment(id=name, phase="3A", title=name, legs=(leg,), start_from=start, **more)


def adapter_of(plan: Plan, out: Path, experiment: str) -> dict[str, torch.Tensor]:
    end = next(p for p in plan.experiments if p.experiment.id == experiment).ends[-1]
    return load_file(out / "stages" / plan.stages[end].folder / "adapter_model.safetensors")


def relative(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    difference = sum(float((one[k] - other[k]).square().sum()) for k in one)
    return (difference / sum(float(v.square().sum()) for v in other.values())) ** 0.5


def losses_of(plan: Plan, out: Path, experiment: str) -> list[float]:
    planned = next(p for p in plan.experiments if p.experiment.id == experiment)
    lines: list[str] = []
    for name in planned.trainings:
        lines += (out / "stages" / plan.stages[name].folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.fixture(scope="module")
def ladder(demo: Study) -> Study:
    return with_experiments(
        demo, tune("short", 10), tune("long", 30), tune("other", 20, "imdb"), tune("chain", 10, "imdb", start="short")
    )


@pytest.fixture(scope="module")
def shared(ladder: Study, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    plan, out = compile_plan(ladder, tasks=TASKS), tmp_path_factory.mktemp("shared")
    assert_done(run_inline(plan, out))
    return plan, out


@pytest.mark.parametrize(("sharing", "width"), [(False, 8), (True, 1), (False, 1)])
def test_sharing_and_company_change_no_adapter(
    sharing: bool, width: int, ladder: Study, shared: tuple[Plan, Path], tmp_path: Path
) -> None:
    """fp32: bit-equal on processors whose kernels allow; under 1e-3 is promised."""
    plan = compile_plan(ladder, tasks=TASKS, sharing=sharing, cohort_width=width)
    assert_done(run_inline(plan, tmp_path))
    for planned in plan.experiments:
        name = planned.experiment.id
        assert relative(adapter_of(plan, tmp_path, name), adapter_of(*shared, name)) < 1e-3
        assert losses_of(plan, tmp_path, name) == pytest.approx(losses_of(*shared, name), rel=1e-4)


@pytest.mark.parametrize("steady", [False, True])
def test_a_stage_interrupted_at_any_step_goes_on_bit_for_bit(
    steady: bool, ladder: Study, shared: tuple[Plan, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where cohorts are steady, as on a GPU: losses come late, and members that have left leave their seats."""
    plan, calm = shared
    if steady:
        monkeypatch.setattr(train, "Lockstep", partial(Lockstep, steady=True))
        calm = tmp_path / "calm"
        assert_done(run_inline(plan, calm))
    count = 0

    def every_seventh() -> bool:
        nonlocal count
        count += 1
        return count % 7 == 0

    for _ in range(40):
        halting = run_inline(plan, tmp_path / "halted", stopping=every_seventh, checkpoint_seconds=0)
        if set(halting.states.values()) == {"done"}:
            break
    for planned in plan.experiments:
        name = planned.experiment.id
        mine, theirs = adapter_of(plan, tmp_path / "halted", name), adapter_of(plan, calm, name)
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs), name
        assert losses_of(plan, tmp_path / "halted", name) == losses_of(plan, calm, name)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "trace"])
def test_a_damaged_checkpoint_is_passed_over(
    damage: str, ladder: Study, shared: tuple[Plan, Path], tmp_path: Path
) -> None:
    plan = compile_plan(ladder, tasks=TASKS, only=["long"])

    def saved_twice() -> list[Path]:
        return [f for f in (tmp_path / "stages").glob("train-*") if len(checkpoint_steps(f)) == 2]

    run_inline(plan, tmp_path, stopping=lambda: bool(saved_twice()), checkpoint_seconds=0)
    folders = saved_twice()
    assert folders, "the run was stopped inside a stage"
    newest = checkpoint_path(folders[0], checkpoint_steps(folders[0])[-1])
    whole = newest.read_bytes()
    damaged = {"truncate": whole[: len(whole) // 2], "empty": b"", "flip": b"\xff" * 8 + whole[8:]}
    trace = folders[0] / "metrics.jsonl"
    first, *others = trace.read_text().splitlines()
    if damage == "trace":
        trace.write_text("\n".join([json.dumps({**json.loads(first), "loss": 0.0008}), *others, ""]))
    else:
        newest.write_bytes(damaged[damage])
    assert_done(run_inline(plan, tmp_path))
    assert losses_of(plan, tmp_path, "long") == pytest.approx(losses_of(*shared, "long"), rel=1e-4)


def test_a_chain_continues_the_same_adapter_with_a_fresh_optimiser(shared: tuple[Plan, Path]) -> None:
    plan, out = shared
    planned = next(p for p in plan.experiments if p.experiment.id == "chain")
    opening = plan.stages[planned.trainings[0]]
    assert isinstance(opening, TrainSpec)
    metrics = (out / "stages" / opening.folder / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["lr"] for line in metrics]
    assert opening.leg.learning_rate is not None
    assert rates[0] == pytest.approx(opening.leg.learning_rate / opening.leg.schedule.warmup_steps)
    assert relative(adapter_of(plan, out, "chain"), adapter_of(plan, out, "short")) > 1e-2


def test_merge_then_new_trains_a_new_adapter_on_the_merged_base(demo: Study, tmp_path: Path) -> None:
    schedule = with_fields(demo.schedule, chain="merge_then_new")
    study = with_experiments(demo, tune("a", 20), tune("b", 10, "imdb", start="a"), schedule=schedule)
    plan = compile_plan(study, tasks=TASKS)
    assert_done(run_inline(plan, tmp_path))
    a, b = (p.ends[-1] for p in plan.experiments)
    spec = plan.stages[b]
    assert isinstance(spec, TrainSpec)
    assert [end.stage for end in spec.leg.merged] == [a]
    up = {key: value for key, value in adapter_of(plan, tmp_path, "b").items() if "lora_B" in key}
    first = {key: value for key, value in adapter_of(plan, tmp_path, "a").items() if "lora_B" in key}
    assert relative(up, first) > 0.5, "it is another adapter"
    fresh = compile_plan(with_experiments(demo, tune("b", 10, "imdb")), tasks=TASKS)
    run_inline(fresh, tmp_path / "fresh")
    merged, alone = losses_of(plan, tmp_path, "b"), losses_of(fresh, tmp_path / "fresh", "b")
    assert merged[0] < alone[0] - 0.1, "the merged base has learnt that answers end"
    assert outcome_facts(plan, tmp_path, plan.experiments[1].evaluations["sst2"], EvaluatedFacts).metrics


def test_all_weights_train_through_the_same_loop(demo: Study, tmp_path: Path) -> None:
    full = tune("full", 12, adapter=Adapter(method="full"), learning_rate=1e-3)
    study = with_experiments(
        demo, full, tune("lora", 12), tune("next", 8, "imdb", start="full", adapter=Adapter(method="full"))
    )
    plan = compile_plan(study, tasks=TASKS)
    assert_done(run_inline(plan, tmp_path))
    end = tmp_path / "stages" / plan.stages[plan.experiments[0].ends[-1]].folder
    assert (end / "model.safetensors").is_file()
    facts = outcome_facts(plan, tmp_path, plan.experiments[0].evaluations["sst2"], EvaluatedFacts)
    assert 0 <= (facts.metrics["accuracy"] or 0) <= 1
    from transformers import AutoModelForCausalLM

    reloaded = AutoModelForCausalLM.from_pretrained(end)
    before = AutoModelForCausalLM.from_pretrained(locate_base(demo.base))
    moved = [not torch.equal(a, b) for a, b in zip(reloaded.parameters(), before.parameters(), strict=True)]
    assert sum(moved) > 0.9 * len(moved)
    assert len(losses_of(plan, tmp_path, "next")) == 8


def test_a_member_whose_loss_is_not_finite_fails_alone(
    demo: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regimen.stages import train

    begin = train._initial_state

    def poisoned(spec: TrainSpec, *more: Any) -> Any:
        state = begin(spec, *more)
        if spec.label == "wild-trunk":
            state.row[7] = torch.nan
        return state

    monkeypatch.setattr(train, "_initial_state", poisoned)
    plan = compile_plan(with_experiments(demo, tune("calm", 20), tune("wild", 20, "imdb")), tasks=TASKS)
    scheduler = run_inline(plan, tmp_path)
    states = {p.experiment.id: {scheduler.states[s] for s in p.stages} for p in plan.experiments}
    assert states == {"calm": {"done"}, "wild": {"failed", "blocked"}}
    assert ["lower the learning rate" in error for error in scheduler.errors.values()] == [True]


def test_what_an_experiment_took_of_each_source_is_recorded(shared: tuple[Plan, Path]) -> None:
    plan, out = shared
    facts = outcome_facts(plan, out, plan.experiments[1].ends[-1], TrainedFacts)
    assert facts.steps == 3
    assert facts.epochs["glue-sst2"] == pytest.approx(30 * 8 / 1300 * 2.6, rel=0.5)
    assert 0 < facts.loss_tokens < facts.tokens
