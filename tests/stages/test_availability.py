"""What a study wants of the machine is said before anything runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from regimen.api import run
from regimen.errors import SourceMissing
from regimen.evaluation import harness
from regimen.plan import compile_plan
from regimen.stages.availability import missing_harness, missing_inputs
from regimen.study import Study, Task, load_study
from tests.support.studies import with_experiments, with_fields

SENTENCE = "the task 'arc_easy' needs lm-evaluation-harness; pip install 'regimen-lm[lm-eval]'"


@pytest.fixture
def study() -> Study:
    """The demo with one baseline on a task of the harness and one on its own."""
    demo = load_study("qwen2-finance", "demo")
    own = next(e for e in demo.experiments if e.id == "1-sst2")
    foreign = Task.model_validate({"title": "ARC", "group": "general", "lm_eval": "arc_easy"})
    return with_experiments(demo, own, with_fields(own, id="1-arc", task="arc"), tasks={**demo.tasks, "arc": foreign})


def test_a_missing_harness_is_said_before_anything_runs(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    plan = compile_plan(study)
    refused = missing_inputs(plan, None, None)
    assert {plan.stages[name].label.split("-")[0] for name in refused[SENTENCE]} == {"arc"}
    assert missing_harness(study) == [SENTENCE]
    with pytest.raises(SourceMissing, match=f"{re.escape(SENTENCE)}; 1 experiments need it"):
        run(plan, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_harness_that_is_there_is_not_missed(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda name: object())
    assert missing_inputs(compile_plan(study), None, None) == {}
    assert missing_harness(study) == []
