"""Axes: what a group's `vary` unfolds into, and what it is refused for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen import compile_plan, load_study
from regimen.errors import StudyError
from regimen.plan import LegSpec, PrepareSpec, TrainSpec
from regimen.study import Study, dump_study
from regimen.study.axes import axis_names
from regimen.study.schema import Adapter, Batch, Schedule
from tests.support.studies import MINIMAL

GROUP = '- {phase: tune, title: "Tune {sources}", steps: [20, 40], finetune: {tune: mood}}'


def written(vary: Any, steps: str = "steps: 40") -> str:
    assert GROUP in MINIMAL
    shown = yaml.safe_dump(vary, default_flow_style=True, sort_keys=False, width=10_000).strip()
    keys = ["phase: tune", 'title: "Tune"', *([steps] if steps else []), "finetune: {tune: mood}", f"vary: {shown}"]
    return MINIMAL.replace(GROUP, f"- {{{', '.join(keys)}}}")


def loaded(folder: Path, text: str, **options: Any) -> Study:
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    return load_study(folder / "study.yaml", **options)


def tuned(study: Study) -> list[str]:
    return [experiment.id for experiment in study.experiments if experiment.phase == "tune"]


def test_axes_are_crossed_and_named_readably(tmp_path: Path) -> None:
    study = loaded(tmp_path, written({"learning_rate": [1e-4, "3e-4", 0.0025], "adapter.rank": [4, 16]}))
    assert tuned(study) == [
        *("tune~lr1e-4~r4", "tune~lr1e-4~r16", "tune~lr3e-4~r4", "tune~lr3e-4~r16"),
        *("tune~lr2.5e-3~r4", "tune~lr2.5e-3~r16"),
    ]
    one = study.experiment("tune~lr3e-4~r16")
    assert one.title == "Tune (learning rate 3e-4, rank 16)"
    assert (one.learning_rate, study.adapter_of(one).rank, study.adapter_of(one).alpha) == (3e-4, 16, 8.0)
    assert one.varied == {"learning_rate": 3e-4, "adapter.rank": 16}
    assert study.experiment("tune~lr3e-4~r4").adapter is None, "the study's own value is no override"


def test_zipped_axes_go_together_and_are_crossed_with_others(tmp_path: Path) -> None:
    zipped = {"adapter.rank": [4, 16], "adapter.alpha": [8, 32]}
    study = loaded(tmp_path, written({"rows": [10, "all"], "zip": zipped}))
    assert tuned(study) == [f"tune~rows{rows}~{pair}" for rows in (10, "all") for pair in ("r4~alpha8", "r16~alpha32")]
    assert [e.rows for e in study.experiments if e.phase == "tune"] == [10, 10, None, None]
    two = loaded(tmp_path, written({"zip": [zipped, {"batch.sequences": [4, 2], "batch.block": [64, 128]}]}))
    assert len(tuned(two)) == 4


# for every axis two values that make other trainings, and the fields of the leg in which these differ
TINY = {"id": "regimen/tiny-llama", "origin": "packaged", "precision": "fp32"}
OTHER_LEGS: dict[str, tuple[list[Any], set[str]]] = {
    "learning_rate": ([1e-3, 2e-3], {"learning_rate"}),
    "rows": ([10, "all"], {"sources", "rows"}),
    "steps": ([20, 40], set()),
    "seed": ([17, 18], {"seed"}),
    "base": ([{**TINY, "id": "regimen/tiny-qwen2"}, TINY], {"base", "sources", "rows"}),
    "adapter.method": (["lora", "full"], {"adapter"}),
    "adapter.rank": ([4, 8], {"adapter"}),
    "adapter.alpha": ([8, 16], {"adapter"}),
    "adapter.targets": (["all-linear", ["q_proj", "v_proj"]], {"adapter"}),
    "adapter.rslora": ([False, True], {"adapter"}),
    "adapter.dropout": ([0.0, 0.1], {"adapter"}),
    "batch.sequences": ([8, 4], {"batch"}),
    "batch.block": ([64, 32], {"batch", "sources", "rows"}),
    "batch.packing": ([True, False], {"batch", "sources", "rows"}),
    "schedule.type": (["warmup_stable_decay", "cosine"], {"schedule"}),
    "schedule.warmup_steps": ([1, 2], {"schedule"}),
    "schedule.cooldown": ([0.1, 0.5], {"schedule"}),
    "schedule.weight_decay": ([0.0, 0.1], {"schedule"}),
    "schedule.betas": ([[0.9, 0.999], [0.9, 0.95]], {"schedule"}),
    "schedule.epsilon": ([1e-8, 1e-6], {"schedule"}),
    "schedule.clip_norm": ([1.0, 0.5], {"schedule"}),
    "schedule.chain": (["continue", "merge_then_new"], set()),  # it says nothing of a single leg
}


def test_every_setting_of_adapter_batch_and_schedule_is_an_axis() -> None:
    parts = {"adapter": Adapter, "batch": Batch, "schedule": Schedule}
    settings = {f"{part}.{field}" for part, model in parts.items() for field in model.model_fields}
    assert settings - {"schedule.learning_rate"} < set(axis_names())
    assert set(axis_names()) == {*OTHER_LEGS, "epochs"}, "give the new axis two values"


@pytest.mark.parametrize("axis", list(OTHER_LEGS))
def test_a_setting_reaches_its_training_and_nothing_else(axis: str, tmp_path: Path) -> None:
    """A training for each value; their legs differ in that setting alone, and the test items are the same."""
    values, fields = OTHER_LEGS[axis]
    study = loaded(tmp_path, written({axis: values}, "" if axis == "steps" else "steps: 40"))
    ids = tuned(study)
    assert len(set(ids)) == 2
    plan = compile_plan(study)
    ends = [plan.stages[planned.ends[-1]] for planned in plan.experiments if planned.experiment.id in ids]
    one, other = (stage for stage in ends if isinstance(stage, TrainSpec))
    differing = {name for name in LegSpec.model_fields if getattr(one.leg, name) != getattr(other.leg, name)}
    assert differing == fields
    assert (one.fingerprint == other.fingerprint) == (axis == "schedule.chain")
    assert len({tuple(e.evaluations) for e in plan.experiments if e.experiment.id in ids}) == 1


def test_the_first_value_of_an_axis_that_is_the_studys_changes_no_fingerprint(tmp_path: Path) -> None:
    plain = compile_plan(loaded(tmp_path, MINIMAL.replace("steps: [20, 40]", "steps: 40")))
    plan = compile_plan(loaded(tmp_path, written({"adapter.rank": [4, 16], "learning_rate": [2e-3], "rows": ["all"]})))
    names = {planned.experiment.id: planned for planned in plan.experiments}
    (before,) = (planned for planned in plain.experiments if planned.experiment.id == "tune")
    assert names["tune~r4~lr2e-3~rowsall"].stages == before.stages


def test_a_chain_varies_as_a_whole(tmp_path: Path) -> None:
    text = MINIMAL.replace("chain: both\n", "chain: both\n    vary: {adapter.rank: [4, 8], seed: [1, 2]}\n")
    study = loaded(tmp_path, text)
    starts = {e.id: e.start_from for e in study.experiments if e.start_from}
    assert starts == {
        "both-tune~r4": "both-read~r4",
        "both-tune~r4~s2": "both-read~r4~s2",
        "both-tune~r8": "both-read~r8",
        "both-tune~r8~s2": "both-read~r8~s2",
    }
    assert {recipe.id: len(recipe.runs) for recipe in study.recipes if "r8" in recipe.id} == {
        "both-read~r8": 2,
        "both-tune~r8": 2,
    }


def test_steps_and_a_patterns_choice(tmp_path: Path) -> None:
    study = loaded(tmp_path, written({"steps": [20, 40]}, steps="learning_rate: 1e-3"))
    assert [(e.id, e.steps) for e in study.experiments if e.phase == "tune"] == [
        ("tune~steps20", 20),
        ("tune~steps40", 40),
    ]
    plan = compile_plan(study)
    trunks = [s for s in plan.trainings() if s.part == "trunk" and s.label.startswith("tune")]
    assert [(s.first_step, s.last_step) for s in trunks] == [(0, 18), (18, 36)], "lengths share their trunk"
    assert [p.experiment.id for p in compile_plan(study, only=["tune"]).experiments] == tuned(study)


def test_a_question_names_what_varies_by_a_pattern_once_a_recipe(tmp_path: Path) -> None:
    text = written({"adapter.rank": [4, 8], "seed": [1, 2]})
    contrast = "{id: c, each: [PATTERN], against: zero-shot, tasks: [mood]}"
    asked = f"questions: {{Q: {{question: Which one, contrasts: [{contrast}]}}}}"
    study = loaded(tmp_path, text + "\n" + asked.replace("PATTERN", "'tune~*', tune~r8"))
    assert [one.id for one in study.questions["Q"].contrasts] == ["c:tune~r4", "c:tune~r8"]
    with pytest.raises(StudyError, match="no experiment 'tone~\\*' in this study"):
        loaded(tmp_path, text + "\n" + asked.replace("PATTERN", "'tone~*'"))


def test_groups_change_single_values_of_batch_and_schedule(tmp_path: Path) -> None:
    text = MINIMAL.replace("steps: [20, 40],", "steps: 20, batch: {block: 64}, schedule: {clip_norm: 0.5}, rows: 5,")
    study = loaded(tmp_path, text)
    tune = study.experiment("tune")
    assert (study.batch_of(tune).block, study.batch_of(tune).sequences) == (64, 8)
    assert (study.schedule_of(tune).clip_norm, study.schedule_of(tune).warmup_steps) == (0.5, 2)
    again = loaded(tmp_path, dump_study(study))
    assert again == study, "also where a value is the class's default and not the study's"


def test_a_step_costs_by_its_tokens(tmp_path: Path) -> None:
    plan = compile_plan(loaded(tmp_path, written({"batch.sequences": [8, 16]})))
    small, large = (p for p in plan.experiments if p.experiment.phase == "tune")
    assert large.gpu_hours == pytest.approx(2 * small.gpu_hours)
    assert plan.totals["gpu_hours_to_run"] == pytest.approx((40 + 2 * 40 + 30) / 2000 + 0.17)


def test_rows_make_preparations_of_their_own_and_share_the_rest(tmp_path: Path) -> None:
    plan = compile_plan(loaded(tmp_path, written({"rows": [10, 30, "all"], "learning_rate": [1e-3, 2e-3]})))
    prepared = [stage for stage in plan.stages.values() if isinstance(stage, PrepareSpec)]
    assert sorted((p.label, p.first or 0) for p in prepared) == [
        ("mood-finetune", 0),
        ("mood-finetune-10-rows", 10),
        ("mood-finetune-30-rows", 30),
        ("news-pretrain", 0),
    ]
    cohorts = {plan.cohort_of[stage.fingerprint] for stage in plan.trainings() if stage.label.startswith("tune")}
    assert len(cohorts) == 2, "trunks in one cohort, cooldowns in another: equal shapes train together"


FAULTS = [
    ({"learning_rate": [0, 1e-3]}, "steps: 40", "vary.learning_rate: input should be greater than 0 .not 0."),
    ({"learning_rat": [1e-3]}, "steps: 40", "no axis 'learning_rat'; there is learning_rate"),
    ({"schedule.learning_rate": [1e-3]}, "steps: 40", "the axis of 'schedule.learning_rate' is called 'learning_rate'"),
    ({"learning_rate": 1e-3}, "steps: 40", "the axis 'learning_rate' needs a list of values, not 0.001"),
    ({"rows": []}, "steps: 40", "the axis 'rows' needs a list of values"),
    ({"rows": [0]}, "steps: 40", "vary.rows: input should be greater than or equal to 1 .not 0."),
    ({"adapter.rank": [4, 4]}, "steps: 40", "two combinations of `vary` are called 'tune~r4'"),
    ({"zip": {"rows": [1, 2], "adapter.rank": [4]}}, "steps: 40", "rows has 2, adapter.rank has 1"),
    ({"zip": {"rows": [1], "seed": [4]}}, "steps: 40", "`seed` cannot be zipped"),
    ({"seed": [4, 5]}, "steps: 40, seed: 4", "the axis `seed`; give one of them"),
    ({"batch.block": [8]}, "steps: 40", "vary.batch.block: input should be greater than or equal to 16"),
    ({"adapter.rank": [1, 2, 3], "seed": list(range(1000)), "rows": [1, 2, 3, 4]}, "steps: 40", "12,001 experiments; "
     "the limit is 10,000"),
    ({}, "steps: 40", "`vary` needs at least one axis"),
]  # fmt: skip


@pytest.mark.parametrize(("vary", "steps", "match"), FAULTS)
def test_faults_of_axes_name_their_line(vary: Mapping[str, Any], steps: str, match: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=rf"line 16.*{match}"):
        loaded(tmp_path, written(vary, steps))


def test_an_axis_on_a_baseline_is_refused(tmp_path: Path) -> None:
    text = MINIMAL.replace("baseline: every-task}", "baseline: every-task, vary: {rows: [1]}}")
    with pytest.raises(StudyError, match=r"line 15.*a baseline trains nothing, so 'rows' cannot vary; leave it out"):
        loaded(tmp_path, text)


def test_a_chain_has_no_steps_to_vary(tmp_path: Path) -> None:
    legs = "legs: [{finetune: mood, steps: 3}, {finetune: mood, steps: 4}]"
    group = f"  - {{phase: x, id: two, title: t, {legs}, vary: {{steps: [1, 2]}}}}\n"
    with pytest.raises(StudyError, match="'two' has 2 legs; steps vary where there is one"):
        loaded(tmp_path, MINIMAL + group)


AXES = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": st.lists(st.floats(1e-6, 0.5), min_size=1, max_size=3, unique=True),
        "adapter.rank": st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True),
        "schedule.weight_decay": st.lists(st.floats(0, 1), min_size=1, max_size=2, unique=True),
        "batch.packing": st.just([True, False]),
        "rows": st.lists(st.integers(1, 999), min_size=1, max_size=3, unique=True),
        "seed": st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True),
    },
).filter(bool)


@settings(deadline=None, max_examples=40)
@given(vary=AXES)
def test_unfolding_is_deterministic_ids_unique_and_the_file_comes_back(
    vary: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("study")
    study = loaded(folder, written(vary))
    assert study == loaded(folder, written(vary))
    names = tuned(study)
    count = 1
    for values in vary.values():
        count *= len(values)
    assert len(set(names)) == len(names) == count
    assert loaded(folder, dump_study(study)) == study
    trainings = [s for s in compile_plan(study).trainings() if s.label.startswith("tune")]
    assert all(isinstance(stage, TrainSpec) for stage in trainings)
    assert len({s.fingerprint for s in trainings if s.part == "cooldown"}) == count
