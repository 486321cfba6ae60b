"""A device that runs out of memory, or breaks, in the middle of a training step: seen by real workers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from regimen.execution.runner import RunSummary, run_plan
from regimen.plan import Plan, compile_plan
from regimen.stages.options import RunOptions
from regimen.study import load_study
from tests.support.inline_runs import assert_done, run_inline

pytestmark = pytest.mark.slow
FAILING = Path(__file__).parents[1] / "support" / "failing_device"


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Two trainings that go in one cohort, evaluated on a few items."""
    study = load_study("qwen2-finance", "demo")
    return compile_plan(study, only=["3a-sst2", "3a-imdb"], tasks=["sst2"], eval_items=4, cohort_width=2)


@pytest.fixture(scope="module")
def calm(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calm") / "run"
    assert_done(run_inline(plan, out))
    return out


def run_on(device: dict[str, object], plan: Plan, out: Path, patch: pytest.MonkeyPatch) -> RunSummary:
    patch.setenv("REGIMEN_TEST_DEVICE", json.dumps(device))
    patch.setenv("PYTHONPATH", os.pathsep.join([str(FAILING), os.environ.get("PYTHONPATH", "")]))
    recorded = {"compile": plan.options.to_json()}
    return run_plan(plan, RunOptions(out, workers=1), lambda event: None, recorded)


def logged(out: Path) -> list[dict[str, object]]:
    """What the logs of the trainings say, line by line."""
    lines = [line for path in out.glob("stages/train-*/log.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def losses(out: Path) -> dict[str, list[float]]:
    """Each training's losses, by its folder's name."""
    traces = {path.parent.name: path.read_text().splitlines() for path in out.glob("stages/train-*/metrics.jsonl")}
    return {name: [json.loads(line)["loss"] for line in lines] for name, lines in traces.items()}


def test_a_cohort_too_large_for_memory_is_split_and_all_members_finish(
    plan: Plan, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = run_on({"fits": 1}, plan, tmp_path, monkeypatch)
    assert summary.exit_code == 0, summary.failures
    assert {event["cohort"] for event in logged(tmp_path) if event["event"] == "started"} == {2, 1}
    found, expected = losses(tmp_path), losses(calm)
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name] == pytest.approx(expected[name], rel=1e-4), name


def test_a_member_too_large_by_itself_fails_in_one_plain_sentence(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = run_on({"fits": 0}, plan, tmp_path, monkeypatch)
    assert summary.exit_code == 1
    (error,) = {failure.error for failure in summary.failures}
    assert error == "a pass of 1 x 64 tokens does not fit into the memory of cpu; make batch.block shorter (3 times)"


def test_a_worker_whose_device_breaks_is_ended_and_another_goes_on(
    plan: Plan, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    summary = run_on({"breaks": str(tmp_path / "broken")}, plan, out, monkeypatch)
    assert (tmp_path / "broken").exists()
    assert summary.exit_code == 0, summary.failures
    events = logged(out)
    assert any("an illegal memory access" in str(event.get("detail")) for event in events if event["event"] == "error")
    assert len({event["worker"] for event in events if event["event"] == "started"}) == 2, "another process went on"
    assert losses(out) == losses(calm)


def test_a_worker_that_hangs_in_its_device_is_ended_and_another_goes_on(
    plan: Plan, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its main thread waits without end, as in cudaStreamSynchronize; the watch is a thread beside it."""
    out = tmp_path / "run"
    summary = run_on({"hangs": str(tmp_path / "hung")}, plan, out, monkeypatch)
    assert (tmp_path / "hung").exists()
    assert summary.exit_code == 0, summary.failures
    assert len({event["worker"] for event in logged(out) if event["event"] == "started"}) == 2
    assert losses(out) == losses(calm)
    assert "threading" in (out / "logs" / "worker-0.log").read_text(), "where it hung stands in the worker's log"
