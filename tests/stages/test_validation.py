"""Validation rows while adapters train: what is computed, what is kept, and that no choice reads a test row."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from regimen.data.blocks import BlockStore
from regimen.engine.locate import locate_base
from regimen.errors import StudyError
from regimen.plan import EvaluateSpec, ItemsSpec, Plan, PrepareSpec, TrainSpec, compile_plan
from regimen.results import EvaluatedFacts, TrainedFacts, ValidationPoint
from regimen.study import Study, load_study
from tests.support.inline_runs import assert_done, outcome_facts, run_inline
from tests.support.row_files import write

STUDY = """
study: validated
base: {id: regimen/tiny-qwen2, origin: packaged, precision: fp32}
batch: {sequences: 4, block: 48}
schedule: {learning_rate: {pretrain: 5.0e-3, finetune: 1.0e-2}, warmup_steps: 2}
evaluation: {context: 128}
sources:
  mood:
    files: [rows.jsonl]
    form: {prompt: "{{ text }}\\nGood or bad?", label: {column: mood, names: [bad, good]}}
    held_out: {files: [test.jsonl]}
    validation: {share: 0.3}
tasks:
  mood: {title: Mood, group: g, source: [mood], scoring: choice, metrics: [accuracy]}
validate: {every: 5, keep: best}
experiments:
  - {phase: base, title: "{task}", baseline: every-task}
  - {phase: direct, title: t, steps: [8, 24], finetune: {direct: mood}}
"""
OTHER_TASK = "source: [other], scoring: generation, generation: {tokens: 2}"


def rows(word: str, count: int) -> list[dict[str, Any]]:
    """One row in five says the contrary, so that a training that goes on too long gets worse."""
    moods = ("dreadful", "splendid")
    return [
        {"text": f"The {word} number {i} was {moods[(i + (i % 5 == 0)) % 2]}.", "mood": i % 2} for i in range(count)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("study"))


def written(folder: Path) -> Path:
    write(folder / "rows.jsonl", rows("soup", 90))
    write(folder / "test.jsonl", rows("train to the sea", 30))
    return folder


def study_of(folder: Path, text: str = STUDY) -> Study:
    (folder / "study.yaml").write_text(text)
    return load_study(folder / "study.yaml")


def carried_out(folder: Path, out: Path, text: str = STUDY, **more: Any) -> Plan:
    plan = compile_plan(study_of(folder, text))
    assert_done(run_inline(plan, out, here=folder, **more))
    return plan


@pytest.fixture(scope="module")
def calm(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    out = tmp_path_factory.mktemp("calm")
    return carried_out(folder, out), out


def stages_of(plan: Plan, experiment: str) -> list[TrainSpec]:
    planned = next(p for p in plan.experiments if p.experiment.id == experiment)
    return [stage for name in planned.trainings if isinstance(stage := plan.stages[name], TrainSpec)]


def facts_of(plan: Plan, out: Path, experiment: str) -> list[TrainedFacts]:
    return [outcome_facts(plan, out, stage.fingerprint, TrainedFacts) for stage in stages_of(plan, experiment)]


def points_of(plan: Plan, out: Path, experiment: str) -> list[ValidationPoint]:
    return [point for facts in facts_of(plan, out, experiment) for point in facts.validation]


def adapters(plan: Plan, out: Path) -> dict[str, bytes]:
    trained = [stage for stage in plan.stages.values() if isinstance(stage, TrainSpec)]
    return {s.label: (out / "stages" / s.folder / "adapter_model.safetensors").read_bytes() for s in trained}


def loss_by_peft(plan: Plan, out: Path, stage: TrainSpec) -> float:
    """The mean loss over the validation rows' answers, each row alone, through transformers and PEFT."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    prepared = next(s for s in plan.stages.values() if isinstance(s, PrepareSpec) and s.side == "validation")
    facts = json.loads((out / "stages" / prepared.folder / "outcome.json").read_text())["facts"]
    from regimen.files import cache_home

    store = BlockStore(cache_home() / "blocks" / facts["folder"])
    plain = AutoModelForCausalLM.from_pretrained(locate_base(plan.study.base), dtype=torch.float32)
    model = PeftModel.from_pretrained(plain, str(out / "stages" / stage.folder)).eval()
    total, count = 0.0, 0
    for number in range(len(store)):
        block = store.block(number)
        starts = [i for i in range(block.length) if block.positions[i] == 0] + [block.length]
        for first, end in pairwise(starts):
            ids = torch.tensor(block.tokens[first:end]).long()[None]
            with torch.inference_mode():
                logs = model(input_ids=ids, use_cache=False).logits.log_softmax(dim=-1)[0]
            for place in range(1, end - first):
                if block.loss[first + place]:
                    total -= float(logs[place - 1, ids[0, place]])
                    count += 1
    return total / count


def test_steps_are_looked_at_and_the_loss_is_that_of_peft(calm: tuple[Plan, Path]) -> None:
    plan, out = calm
    assert [point.step for point in points_of(plan, out, "direct-8")] == [5, 8]
    assert [point.step for point in points_of(plan, out, "direct-24")] == [5, 10, 15, 20, 24]
    for name in ("direct-8", "direct-24"):
        facts = facts_of(plan, out, name)
        kept = facts[-1].kept
        best = min(points_of(plan, out, name), key=lambda point: point.loss or 0.0)
        assert kept is not None
        assert (kept.step, kept.value) == (best.step, best.loss)
        assert loss_by_peft(plan, out, stages_of(plan, name)[-1]) == pytest.approx(best.loss, rel=1e-4)


def test_the_kept_weights_are_those_of_that_step(calm: tuple[Plan, Path], tmp_path: Path) -> None:
    """The adapter that is kept is the one that a training without validation has at that step."""
    plan, out = calm
    kept = facts_of(plan, out, "direct-24")[-1].kept
    last = carried_out(written(tmp_path), tmp_path / "last", STUDY.replace("keep: best", "keep: last"))
    assert facts_of(last, tmp_path / "last", "direct-24")[-1].kept is None
    assert kept is not None
    ends = [adapters(plan, out)["direct-24-cooldown"], adapters(last, tmp_path / "last")["direct-24-cooldown"]]
    assert (ends[0] == ends[1]) == (kept.step == 24)
    trunk = STUDY.replace("steps: [8, 24]", f"steps: [8, {kept.step + 10}]").replace("keep: best", "keep: last")
    trunk = trunk.replace("warmup_steps: 2}", f"warmup_steps: 2, cooldown: {10 / (kept.step + 10)}}}")
    if kept.step < 20:  # within the trunk: a training whose trunk ends there
        other = carried_out(tmp_path, tmp_path / "trunk", trunk.replace("[8, ", "["))
        stage = stages_of(other, f"direct-{kept.step + 10}")[0]
        assert stage.last_step == kept.step
        mine = load_file(out / "stages" / stages_of(plan, "direct-24")[-1].folder / "adapter_model.safetensors")
        theirs = load_file(tmp_path / "trunk" / "stages" / stage.folder / "adapter_model.safetensors")
        assert all(torch.allclose(mine[key], theirs[key], atol=1e-5) for key in theirs)


def test_an_evaluation_scores_what_was_kept(calm: tuple[Plan, Path]) -> None:
    plan, out = calm
    end = stages_of(plan, "direct-24")[-1].fingerprint
    stage = next(s for s in plan.stages.values() if isinstance(s, EvaluateSpec) and s.trained == end)
    assert outcome_facts(plan, out, stage.fingerprint, EvaluatedFacts).items == 30


def test_killed_at_any_step_it_keeps_the_same_step_bit_for_bit(
    folder: Path, calm: tuple[Plan, Path], tmp_path: Path
) -> None:
    plan, out = calm
    count = 0

    def every_fourth() -> bool:
        nonlocal count
        count += 1
        return count % 4 == 0

    for _ in range(40):
        states = run_inline(plan, tmp_path, here=folder, stopping=every_fourth, checkpoint_seconds=0).states
        if set(states.values()) == {"done"}:
            break
    assert adapters(plan, tmp_path) == adapters(plan, out)
    for name in ("direct-8", "direct-24"):
        assert points_of(plan, tmp_path, name) == points_of(plan, out, name)
        assert facts_of(plan, tmp_path, name)[-1].kept == facts_of(plan, out, name)[-1].kept


def test_other_test_rows_change_no_choice(calm: tuple[Plan, Path], tmp_path: Path) -> None:
    """Every label of the test rows is turned round: what is trained and kept stays as it is, to the bit."""
    write(tmp_path / "rows.jsonl", rows("soup", 90))
    write(tmp_path / "test.jsonl", [{**row, "mood": 1 - row["mood"]} for row in rows("train to the sea", 30)])
    assert adapters(carried_out(tmp_path, tmp_path / "run"), tmp_path / "run") == adapters(*calm)


def test_what_a_training_is_chosen_by_is_made_of_no_test_item(calm: tuple[Plan, Path]) -> None:
    """Of all that a training is made from, test items are only looked for in rows, never scored."""
    plan, _ = calm
    for stage in plan.stages.values():
        if isinstance(stage, TrainSpec) and stage.leg.validation is not None:
            for name in stage.leg.validation.inputs:
                read = plan.stages[name]
                assert isinstance(read, ItemsSpec | PrepareSpec)
                assert read.side == "validation"
                tests = [plan.stages[given] for given in read.tests]
                assert all(isinstance(test, ItemsSpec) and test.side == "test" for test in tests)
                assert {test.task_name for test in tests if isinstance(test, ItemsSpec)} == set(plan.study.tasks)
        if isinstance(stage, PrepareSpec) and stage.side == "train":
            looked_for = [plan.stages[given] for given in stage.tests]
            assert {spec.side for spec in looked_for if isinstance(spec, ItemsSpec)} == {"test", "validation"}


def test_faults_name_line_and_remedy(folder: Path) -> None:
    with pytest.raises(StudyError, match=r"line \d+.*`validate` needs validation rows of 'mood'; give that source"):
        study_of(folder, STUDY.replace("    validation: {share: 0.3}\n", ""))
    with pytest.raises(StudyError, match=r"line \d+, validate.every: .*greater than or equal to 1"):
        study_of(folder, STUDY.replace("every: 5", "every: 0"))
    other = 'other: {files: [test.jsonl], split: null, form: {prompt: "{{ text }}", answer: "{{ mood }}"}}'
    text = STUDY.replace("every: 5", "by: headline").replace("source: [mood], scoring: choice", OTHER_TASK)
    text = text.replace("metrics: [accuracy]", "metrics: [exact-match]").replace("sources:\n", f"sources:\n  {other}\n")
    with pytest.raises(StudyError, match="`validate: {by: headline}` needs a task of mood"):
        study_of(folder, text)


def test_a_study_without_validation_is_what_it_was(folder: Path) -> None:
    """Nothing that is unused stands in an identity."""
    text = STUDY.replace("validate: {every: 5, keep: best}\n", "").replace("    validation: {share: 0.3}\n", "")
    plan = compile_plan(study_of(folder, text))
    assert "validat" not in json.dumps([stage.identity for stage in plan.stages.values()])
