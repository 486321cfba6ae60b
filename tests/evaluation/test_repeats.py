"""What is evaluated again when a study changes: by fingerprints, nothing that is already known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from regimen.plan import EvaluateSpec, Plan, compile_plan
from regimen.study import Study, load_study
from regimen.study.schema import Experiment, Leg
from tests.support.inline_runs import assert_done, run_inline
from tests.support.studies import with_experiments, with_fields


@pytest.fixture(scope="module")
def study() -> Study:
    demo = load_study("qwen2-finance", "demo")
    leg = Leg(kind="finetune", mixture={"glue-sst2": 1.0}, steps=8)
    tuned = Experiment(id="tuned", phase="3A", title="tuned", legs=(leg,))
    return with_experiments(demo, tuned)


def evaluations(plan: Plan) -> dict[str, str]:
    """{fingerprint: task} of what is evaluated."""
    return {name: stage.task_name for name, stage in plan.stages.items() if isinstance(stage, EvaluateSpec)}


def changed(study: Study, task: str, **fields: Any) -> Study:
    return with_fields(study, tasks={**study.tasks, task: with_fields(study.tasks[task], **fields)})


def test_a_new_task_is_all_that_is_evaluated(study: Study, tmp_path: Path) -> None:
    assert_done(run_inline(compile_plan(study, tasks=["sst2"]), tmp_path))
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "stages").iterdir()}
    more = compile_plan(study, tasks=["sst2", "cola", "topic"])
    assert_done(run_inline(more, tmp_path))
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "stages").iterdir()}
    assert {name: after[name] for name in before} == before, "what was there was left alone"
    added = sorted(name.split("-")[0] for name in after.keys() - before.keys())
    assert added == ["evaluate", "items"], "the topics' items and their one evaluation; no training"


@pytest.mark.parametrize(
    ("fields", "anew"),
    [
        ({"version": 2}, True),
        ({"metrics": ("macro-f1",)}, True),
        ({"title": "another title"}, False),
        ({"group": "another"}, False),
    ],
)
def test_only_what_decides_a_score_decides_whether_it_is_known(
    fields: dict[str, Any], anew: bool, study: Study
) -> None:
    tasks = ["sst2", "topic"]
    before = evaluations(compile_plan(study, tasks=tasks))
    after = evaluations(compile_plan(changed(study, "topic", **fields), tasks=tasks))
    again = {after[name] for name in after.keys() - before.keys()}
    assert again == ({"topic"} if anew else set())


def test_precision_and_items_decide_too(study: Study) -> None:
    before = evaluations(compile_plan(study, tasks=["sst2"]))
    coarse = with_fields(study, base=with_fields(study.base, precision="bf16"))
    assert not before.keys() & evaluations(compile_plan(coarse, tasks=["sst2"])).keys()
    assert not before.keys() & evaluations(compile_plan(study, tasks=["sst2"], eval_items=7)).keys()


def test_an_item_row_holds_what_is_needed_to_judge_it_again(study: Study, tmp_path: Path) -> None:
    plan = compile_plan(study, tasks=["sst2", "tweet-sentiment"])
    assert_done(run_inline(plan, tmp_path))
    for stage in plan.stages.values():
        if isinstance(stage, EvaluateSpec):
            rows = pq.read_table(tmp_path / "stages" / stage.folder / "items.parquet").to_pylist()
            assert len({row["item_id"] for row in rows}) == len(rows)
            for row in rows:
                assert len(row["prompt_hash"]) == 16
                assert len(row["logprobs"]) in (2, 3)
                assert row["prediction"] in ("negative", "positive", "bearish", "bullish", "neutral")
                assert row["score"] == float(row["prediction"] == row["target"])
                assert (row["text"] is not None) == (stage.task_name == "tweet-sentiment")
