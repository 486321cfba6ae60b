"""Recipes with several seeds: which runs come of `seeds`, and that nothing but the seed tells them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen import compile_plan, load_study
from regimen.errors import StudyError, UsageError
from regimen.plan import TrainSpec
from regimen.plan.stages import ItemsSpec, PrepareSpec
from regimen.study import Study, dump_study
from regimen.study.recipes import chosen_by, recipes_of
from tests.support.studies import MINIMAL


def loaded(tmp_path: Path, text: str, **options: Any) -> Study:
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    return load_study(tmp_path / "study.yaml", **options)


def ids(study: Study) -> list[str]:
    return [experiment.id for experiment in study.experiments]


def test_three_seeds_of_a_study_make_three_runs_of_each_training(tmp_path: Path) -> None:
    study = loaded(tmp_path, MINIMAL + "seeds: 3\n")
    assert ids(study) == [
        "1-mood",
        *("tune-20", "tune-20~s18", "tune-20~s19", "tune-40", "tune-40~s18", "tune-40~s19"),
        *("both-read", "both-read~s18", "both-read~s19", "both-tune", "both-tune~s18", "both-tune~s19"),
    ]
    assert {recipe.id: len(recipe.runs) for recipe in study.recipes} == {
        "1-mood": 1,
        "tune-20": 3,
        "tune-40": 3,
        "both-read": 3,
        "both-tune": 3,
    }
    assert [study.seed_of(run) for run in study.recipes[1].runs] == [17, 18, 19]
    assert study.experiment("both-tune~s18").start_from == "both-read~s18", "a chain keeps to its seed"


def test_the_nearest_seeds_count_group_before_phase_before_study(tmp_path: Path) -> None:
    text = MINIMAL.replace('sources}", steps', 'sources}", seeds: [5, 6], steps')
    text += "seeds: 3\nphases: {base: {title: b}, tune: {title: t, seeds: 4}, chain: {title: c, seeds: 2}}\n"
    study = loaded(tmp_path, text)
    seeds = {recipe.id: [study.seed_of(run) for run in recipe.runs] for recipe in study.recipes}
    assert seeds == {"1-mood": [17], "tune-20": [5, 6], "tune-40": [5, 6], "both-read": [17, 18], "both-tune": [17, 18]}
    assert loaded(tmp_path, dump_study(study)) == study


def test_seeds_put_in_take_the_studys_place(tmp_path: Path) -> None:
    study = loaded(tmp_path, MINIMAL + "seeds: 3\n", seeds=(40, 50), seed=40)
    assert [run.id for run in study.recipes[1].runs] == ["tune-20", "tune-20~s50"]
    assert study.recipes[1].first.seed is None, "the study's own"


def test_replicates_differ_in_the_training_alone(tmp_path: Path) -> None:
    """One preparation and one set of items for all seeds; a replicate is what another training seed would give."""
    plan = compile_plan(loaded(tmp_path, MINIMAL + "seeds: 2\n"))
    once = compile_plan(loaded(tmp_path, MINIMAL))
    other = compile_plan(loaded(tmp_path, MINIMAL, seed=18))
    for kind in (PrepareSpec, ItemsSpec):
        names = [
            {stage.fingerprint for stage in p.stages.values() if isinstance(stage, kind)} for p in (plan, once, other)
        ]
        assert names[0] == names[1] == names[2]
    by_id = {planned.experiment.id: planned for planned in plan.experiments}
    for planned, same in zip(once.experiments, other.experiments, strict=True):
        name = planned.experiment.id
        assert by_id[name].stages == planned.stages, "the first run is what it was without replicates"
        if planned.experiment.legs:
            assert by_id[f"{name}~s18"].trainings == same.trainings
    assert sum(isinstance(s, TrainSpec) for s in plan.stages.values()) == 2 * sum(
        isinstance(s, TrainSpec) for s in once.stages.values()
    )


def test_the_item_seed_draws_items_and_no_training_seed_does(tmp_path: Path) -> None:
    def items(**options: int) -> set[str]:
        plan = compile_plan(loaded(tmp_path, MINIMAL, **options))
        return {stage.fingerprint for stage in plan.stages.values() if isinstance(stage, ItemsSpec)}

    assert items(seed=99) == items() == items(item_seed=17) != items(item_seed=99)
    assert items(item_seed=99) == items(seed=5, item_seed=99)


def test_replicates_of_others_stand_in_a_phase_of_their_own(tmp_path: Path) -> None:
    text = MINIMAL + "  - {phase: extra, replicates: [tune-40, both-*], seeds: [17, 30]}\n"
    study = loaded(tmp_path, text)
    assert ids(study)[-3:] == ["tune-40~s30", "both-read~s30", "both-tune~s30"]
    assert study.experiment("both-tune~s30").start_from == "both-read~s30"
    assert study.experiment("tune-40~s30").phase == "extra"
    chosen = [e.id for e in chosen_by(["tune-*"], study.experiments)]
    assert chosen == ["tune-20", "tune-40"], "a pattern of recipes keeps to their phase"
    assert [e.id for e in chosen_by(["phase:extra"], study.experiments)] == ids(study)[-3:]
    assert [e.id for e in chosen_by(["*~s30"], study.experiments)] == ids(study)[-3:]


FAULTS = [
    (MINIMAL.replace('sources}", steps', 'sources}", seeds: [5, 5], steps'), "line 16.*a seed appears twice"),
    (MINIMAL.replace('sources}", steps', 'sources}", seeds: 0, steps'), "line 16.*greater than or equal to 1"),
    (MINIMAL.replace('sources}", steps', 'sources}", seed: 3, seeds: 2, steps'), "line 16.*`seed` or `seeds`"),
    (MINIMAL + "  - {phase: x, replicates: [no-such], seeds: 2}\n", "line 23.*'no-such' matches no training"),
    (MINIMAL + "  - {phase: x, replicates: [1-mood], seeds: 2}\n", "line 23.*'1-mood' matches no training"),
    (
        MINIMAL + "  - {phase: x, id: other, title: o, replicate_of: tune-20, legs: [{finetune: mood, steps: 9}]}\n",
        "line 23.*differs from 'tune-20' in legs; runs of one recipe differ in the seed alone",
    ),
    (
        MINIMAL + "  - {phase: x, id: onward, title: o, start_from: both-read, legs: [{finetune: mood, steps: 9}]}\n"
        "seeds: [17, 18]\nphases: {base: {title: b}, tune: {title: t}, chain: {title: c}, x: {title: x, seeds: [3]}}\n",
        "line 23.*'onward' starts from 'both-read', which has no run with the seed 3 .it has 17, 18.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "match"), FAULTS)
def test_faults_of_seeds_name_their_line(text: str, match: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=match):
        loaded(tmp_path, text)


@pytest.mark.parametrize("seeds", [0, 1001, (), (3, 3), (2**31,), "3", True, (1.5,)])
def test_seeds_put_in_are_checked_as_the_files_are(seeds: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--seeds is .*; it must"):
        loaded(tmp_path, MINIMAL, seeds=seeds)


@settings(deadline=None, max_examples=30)
@given(seeds=st.one_of(st.integers(1, 6), st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=5, unique=True)))
def test_unfolding_is_deterministic_and_ids_are_unique(seeds: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    given_seeds = tuple(seeds) if isinstance(seeds, list) else seeds
    study = loaded(tmp_path_factory.mktemp("study"), MINIMAL, seeds=given_seeds)
    assert study == loaded(tmp_path_factory.mktemp("study"), MINIMAL, seeds=given_seeds)
    assert len(set(ids(study))) == len(ids(study))
    count = len(given_seeds) if isinstance(given_seeds, tuple) else given_seeds
    assert {len(recipe.runs) for recipe in recipes_of(study.experiments) if recipe.first.legs} == {count}


def test_the_controls_repeat_recipes_of_the_72_under_their_own_names() -> None:
    study = load_study("qwen2-finance", "demo")
    controls = {e.id for e in study.track("controls")}
    assert {"3a-math~s18", "3a-math~s19", "3c-3-sentiment~s19"} <= controls
    assert len(study.full_track) == 72
    seeded = load_study("qwen2-finance", "demo", seeds=3)
    assert len(seeded.full_track) == 10 + 62 * 3
    assert len(recipes_of(seeded.full_track)) == 72
