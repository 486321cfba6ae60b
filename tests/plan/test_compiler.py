"""Compiling: what is shared, what is the same work under another name, what must never be."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.errors import StudyError, UsageError
from regimen.plan import TrainSpec, compile_plan, parse_spec
from regimen.plan.fingerprint import canonical, fingerprint
from regimen.study import Study, load_study
from regimen.study.schema import Experiment, Leg, stable_steps
from tests.support.studies import with_experiments, with_fields


@pytest.fixture(scope="module")
def demo() -> Study:
    return load_study("qwen2-finance", "demo")


def tune(name: str, steps: int, source: str = "imdb", start: str | None = None, seed: int | None = None) -> Experiment:
    leg = Leg(kind="finetune", mixture={source: 100.0}, steps=steps)
    return Experiment(id=name, phase="3A", title=name, legs=(leg,), start_from=start, seed=seed)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_a_ladder_costs_its_longest_trunk_and_its_cooldowns(demo: Study, lengths: list[int]) -> None:
    study = with_experiments(demo, *(tune(f"e{i}", n) for i, n in enumerate(lengths)))
    plan = compile_plan(study)
    distinct = set(lengths)
    longest = max(stable_steps(n, 0.1) for n in distinct)
    assert plan.steps_to_run == longest + sum(n - stable_steps(n, 0.1) for n in distinct)
    for planned in plan.experiments:  # every experiment's own path is whole and in order
        pieces = [plan.stages[name] for name in planned.trainings]
        steps = [(p.first_step, p.last_step) for p in pieces if isinstance(p, TrainSpec)]
        assert steps[0][0] == 0
        assert steps[-1][1] == planned.steps
        assert all(a[1] == b[0] for a, b in itertools.pairwise(steps))


@given(st.lists(st.integers(1, 300), min_size=2, max_size=5), st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_a_subset_names_the_same_stages(demo: Study, lengths: list[int], keep: int) -> None:
    study = with_experiments(demo, *(tune(f"e{i}", n) for i, n in enumerate(lengths)))
    whole = compile_plan(study)
    one = compile_plan(study, only=[f"e{min(keep, len(lengths) - 1)}"])
    assert set(one.stages) <= set(whole.stages)


def test_without_sharing_nothing_is_shared(demo: Study) -> None:
    plan = compile_plan(demo, sharing=False)
    used = [name for planned in plan.experiments for name in planned.trainings]
    assert len(used) == len(set(used))
    assert plan.steps_to_run == sum(planned.steps for planned in plan.experiments)


def test_different_seeds_share_nothing(demo: Study) -> None:
    plan = compile_plan(with_experiments(demo, tune("a", 100), tune("b", 100, seed=99)))
    assert not set(plan.experiments[0].trainings) & set(plan.experiments[1].trainings)


def test_where_a_trunk_is_cut_does_not_change_what_it_is(demo: Study) -> None:
    alone = compile_plan(with_experiments(demo, tune("long", 200)))
    cut = compile_plan(with_experiments(demo, tune("long", 200), tune("short", 50)))
    assert alone.experiments[0].ends == cut.experiments[0].ends
    assert set(alone.stages) <= set(cut.stages)


def test_a_change_of_any_literal_changes_the_stages(demo: Study) -> None:
    base = set(compile_plan(with_experiments(demo, tune("a", 50))).experiments[0].trainings)
    changes = {
        "seed": demo.seed + 1,
        "schedule": with_fields(demo.schedule, clip_norm=0.5),
        "adapter": with_fields(demo.adapter, rank=8),
        "batch": with_fields(demo.batch, sequences=4),
        "base": with_fields(demo.base, revision="other"),
        "sources": demo.sources | {"imdb": with_fields(demo.sources["imdb"], revision="other")},
    }
    for field, value in changes.items():
        changed = with_fields(with_experiments(demo, tune("a", 50)), **{field: value})
        assert not base & set(compile_plan(changed).experiments[0].trainings), field


def test_what_is_only_said_changes_nothing(demo: Study) -> None:
    base = set(compile_plan(with_experiments(demo, tune("a", 50))).stages)
    sources = {name: with_fields(s, notes="new words", licence="x") for name, s in demo.sources.items()}
    renamed = with_fields(with_experiments(demo, tune("b", 50)), title="other", sources=sources)
    assert set(compile_plan(renamed).stages) == base


def test_a_chain_continues_from_the_cooled_down_end(demo: Study) -> None:
    plan = compile_plan(with_experiments(demo, tune("a", 50), tune("b", 30, "glue-sst2", start="a")))
    first, second = plan.experiments
    opening = plan.stages[second.trainings[0]]
    assert isinstance(opening, TrainSpec)
    assert opening.leg.start == first.ends[-1]
    assert opening.parent is None
    assert first.ends[-1] in opening.inputs


def test_only_picks_by_id_and_runs_what_it_starts_from(demo: Study) -> None:
    plan = compile_plan(demo, only=["3c-5-task-specific"])
    assert [p.experiment.id for p in plan.experiments] == [
        "3c-5-general-text",
        "3c-5-financial-domain",
        "3c-5-task-specific",
    ]
    with pytest.raises(UsageError, match="no experiment '9z-\\*'"):
        compile_plan(demo, only=["9z-*"])
    with pytest.raises(UsageError, match="no task 'sst3'; there is sst2"):
        compile_plan(demo, tasks=["sst3"])
    with pytest.raises(UsageError, match="no track 'slow'; there is full, fast, controls"):
        compile_plan(demo, track="slow")
    with pytest.raises(UsageError, match="--cohort-width is 0; it must be at least 1"):
        compile_plan(demo, cohort_width=0)


@pytest.mark.parametrize("width", [1, 3, 8])
def test_cohorts_hold_each_stage_once_in_equal_shapes(demo: Study, width: int) -> None:
    plan = compile_plan(demo, cohort_width=width)
    members = [name for cohort in plan.cohorts for name in cohort.stages]
    assert sorted(members) == sorted(plan.stages)
    for cohort in plan.cohorts:
        stages = [plan.stages[name] for name in cohort.stages]
        assert len(stages) <= width
        assert len({stage.kind for stage in stages}) == 1
        assert len({getattr(stage, "shape", stage.fingerprint) for stage in stages}) == 1
        own = set(cohort.stages)
        assert not any(own & set(stage.inputs) for stage in stages)
    assert compile_plan(demo, cohort_width=width).cohorts == plan.cohorts


def test_stages_come_after_their_inputs(demo: Study) -> None:
    seen: set[str] = set()
    for name, stage in compile_plan(demo).stages.items():
        assert set(stage.inputs) <= seen
        seen.add(name)


def test_a_spec_survives_json(demo: Study) -> None:
    for name, stage in compile_plan(demo).stages.items():
        assert parse_spec(stage.model_dump(mode="json")).fingerprint == name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_a_fingerprint_does_not_depend_on_order_or_spelling(value: object) -> None:
    def shuffled(item: object) -> object:
        if isinstance(item, dict):
            return {key: shuffled(item[key]) for key in reversed(list(item))}
        return tuple(map(shuffled, item)) if isinstance(item, list) else item

    assert canonical(shuffled(value)) == canonical(value)
    assert len(fingerprint(value)) == 12


def test_a_fingerprint_is_golden_and_tells_values_apart() -> None:
    # sha256 of '{"a":[1,2.5,null,true,"\\u00e9"]}', computed with sha256sum
    assert fingerprint({"a": [1.0, 2.5, None, True, "é"]}) == "db37d9de159d"
    assert fingerprint(1) != fingerprint("1") != fingerprint(True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object(), {1: 2}, b"x"])
def test_what_has_no_stable_form_is_refused(value: object) -> None:
    with pytest.raises(StudyError, match="fingerprinted"):
        fingerprint(value)


def test_the_stable_part_is_exact() -> None:
    assert [stable_steps(n, 0.1) for n in (1, 8, 10, 20, 48, 5000, 12000, 50000)] == [
        0, 7, 9, 18, 43, 4500, 10800, 45000
    ]  # fmt: skip
    assert stable_steps(10, 1.0) == 0


def test_every_track_and_selection_finds_shared_work_in_the_same_folder() -> None:
    study = load_study("qwen2-finance", "demo")
    whole = compile_plan(study)
    parts = [compile_plan(study, track=track) for track in ("fast", "controls")]
    parts.append(compile_plan(study, only=["3c-3-finance-pretrain", "c-imdb-2k"]))
    for part in parts:
        shared = part.stages.keys() & whole.stages.keys()
        assert shared
        assert {part.stages[name].folder for name in shared} == {whole.stages[name].folder for name in shared}
