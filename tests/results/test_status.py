"""Status and hours of a run that is half-way, has failures, or is damaged."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from jsonschema import validate

from regimen.plan import Plan, TrainSpec, compile_plan
from regimen.results import Machine, RunFolder
from regimen.results.status import run_status
from regimen.study import load_study
from tests.support.fake_pool import run
from tests.support.schemas import STATUS


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_plan(load_study("qwen2-finance", "demo"), only=["1-sst2", "3a-sst2", "3a-imdb"], tasks=["sst2"])


def test_a_fresh_folder_is_all_pending_by_the_plan_s_rate(plan: Plan, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.create(plan.study, plan, {"command": f"regimen run mine.yaml --out {tmp_path}"})
    status = run_status(folder, plan)
    validate(status, STATUS)
    assert status["stages"] == {"done": 0, "running": 0, "failed": 0, "pending": len(plan.stages)}
    assert status["next"] == f"regimen run mine.yaml --out {tmp_path}"
    assert status["rate"]["source"] in ("the plan's rate", "this machine's measured rate")
    assert status["eta_hours"] is None
    assert status["gpu_hours"]["planned"] == plan.totals["gpu_hours_to_run"]


@pytest.mark.parametrize("written", ["--out first", "--out=first"])
def test_the_next_command_is_for_the_folder_that_is_looked_at(plan: Plan, tmp_path: Path, written: str) -> None:
    """A copy of a run's folder goes on in the copy."""
    folder = RunFolder(tmp_path / "a copy")
    folder.create(plan.study, plan, {"command": f"regimen run mine.yaml {written} --workers 2"})
    words = shlex.split(run_status(folder, plan)["next"])
    assert str(folder.path) in (
        words[words.index("--out") + 1] if "--out" in words else words[3].removeprefix("--out=")
    )
    assert words[-2:] == ["--workers", "2"]


def test_the_first_failure_is_told_with_the_end_of_its_log(plan: Plan, tmp_path: Path) -> None:
    run(plan, tmp_path, lambda label, attempt: "error" if label == "imdb-finetune" else "done")
    folder = RunFolder(tmp_path)
    failed = next(stage for stage in plan.stages.values() if stage.label == "imdb-finetune")
    path = folder.folder(failed).open()
    (path / "log.jsonl").write_text('{"event": "started"}\n{"event": "error", "detail": "one\\ntwo\\nthree"}\n{"cut sh')
    status = run_status(folder, plan)
    validate(status, STATUS)
    assert [failure["stage"] for failure in status["failures"]] == [failed.folder], "what only needs it is not a cause"
    assert status["failures"][0]["error"] == "broken"
    assert status["failures"][0]["last_lines"] == ["started", "one", "two", "three", '{"cut sh']
    assert status["experiments"] == {"done": 2, "running": 0, "failed": 1, "pending": 0}
    assert "regimen run qwen2-finance" in status["next"]


def test_hours_add_up_and_the_run_s_own_rate_counts(plan: Plan, tmp_path: Path) -> None:
    run(plan, tmp_path)
    folder = RunFolder(tmp_path)
    for number, stage in enumerate(plan.stages.values()):
        outcome = folder.outcome(stage)
        assert outcome is not None
        from dataclasses import replace

        from regimen.files import write_json

        changed = replace(outcome, started=1000.0 * number, ended=1000.0 * number + 36.0, where=Machine(cohort=2))
        write_json(folder.folder(stage).path / "outcome.json", changed.to_json())
    status = run_status(folder, plan)
    trained = [stage for stage in plan.stages.values() if isinstance(stage, TrainSpec)]
    hours = status["gpu_hours"]
    assert hours["spent"] == pytest.approx(len(plan.stages) * 18 / 3600, abs=1e-5)
    assert sum(hours["by_experiment"].values()) == pytest.approx(sum(p["spent"] for p in hours["by_phase"].values()))
    steps = sum(stage.steps for stage in trained)
    assert status["rate"]["steps_per_gpu_hour"] == pytest.approx(steps / (len(trained) * 18 / 3600), abs=1e-2)
    assert status["gantt"][-1]["start_hour"] == pytest.approx((len(plan.stages) - 1) * 1000 / 3600, abs=1e-5)


def test_a_damaged_outcome_is_told_not_raised(plan: Plan, tmp_path: Path) -> None:
    run(plan, tmp_path)
    folder = RunFolder(tmp_path)
    stage = next(iter(plan.stages.values()))
    (folder.folder(stage).path / "outcome.json").write_text("{")
    status = run_status(folder, plan)
    assert "is damaged" in status["failures"][0]["error"]
    assert "run the same command again" in status["failures"][0]["error"]
