"""Real processes: a small run of the demo, killed, interrupted, resumed; always the same adapters and scores."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest
from jsonschema import validate

from regimen.api import open_run
from regimen.results.status import run_status
from tests.support.patience import within
from tests.support.run_processes import ARGUMENTS, SMALL, fingerprint_of, finish, start, wait_for, wait_gone
from tests.support.schemas import EXPERIMENT, OUTCOME, STATUS


def test_a_run_leaves_what_the_contract_says(calm: Path) -> None:
    train = next((calm / "stages").glob("train-*-cooldown-*"))
    names = {path.name for path in train.iterdir()}
    assert names >= {
        "spec.json", "outcome.json", "log.jsonl", "DONE", "adapter_model.safetensors", "adapter_config.json",
        "metrics.jsonl",
    }  # fmt: skip
    assert not [name for name in names if name.startswith("checkpoint")], "checkpoints are gone when a stage is done"
    line = json.loads((train / "metrics.jsonl").read_text().splitlines()[0])
    assert set(line) >= {"step", "loss", "lr", "tokens"}
    evaluate = next((calm / "stages").glob("evaluate-*"))
    assert (evaluate / "items.parquet").is_file()
    experiment = json.loads((calm / "experiments" / "3a-sst2.json").read_text())
    assert experiment["state"] == "done"
    assert set(experiment["scores"]) == {"sst2", "financial-sentiment"}
    assert (calm / "report" / "index.html").is_file()


def test_a_second_call_runs_nothing(calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(calm, out)
    before = {path: path.stat().st_mtime_ns for path in (out / "stages").rglob("*")}
    done = finish(out)
    assert done.returncode == 0
    assert "nothing was left to do" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in (out / "stages").rglob("*")} == before


def test_the_documents_are_those_of_the_contract(calm: Path) -> None:
    opened = open_run(calm)
    status = run_status(opened.folder, opened.plan)
    validate(status, STATUS)
    assert status["stages"]["done"] == len(opened.plan.stages)
    assert status["gpu_hours"]["left"] == 0
    assert status["next"] == f"regimen report {calm}"
    assert status["rate"]["source"].startswith("this run's own rate over ")
    assert sum(status["gpu_hours"]["by_experiment"].values()) <= status["gpu_hours"]["spent"]
    assert len(status["gantt"]) == len(opened.plan.stages)
    for path in calm.glob("stages/*/outcome.json"):
        validate(json.loads(path.read_text()), OUTCOME)
    for path in calm.glob("experiments/*.json"):
        validate(json.loads(path.read_text()), EXPERIMENT)
    assert json.loads((calm / "run.json").read_text())["command"].startswith("regimen run qwen2-finance --profile demo")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "arguments", "undisturbed"),
    [(signal.SIGINT, ARGUMENTS, "calm"), (signal.SIGTERM, SMALL, "small_calm")],
)
def test_an_interrupted_run_ends_cleanly_and_goes_on(
    number: signal.Signals, arguments: list[str], undisturbed: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    driver = start(out, arguments=arguments)
    wait_for(out, "stages/train-*/checkpoint-*")
    with within(20):
        driver.send_signal(number)
        _, log = driver.communicate()
    assert driver.returncode == 130, log
    assert "the same command resumes from here" in log
    wait_gone(out)
    done = finish(out, arguments=arguments)
    assert done.returncode == 0, done.stderr
    assert fingerprint_of(out) == fingerprint_of(request.getfixturevalue(undisturbed))


def test_two_drivers_on_one_folder_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    driver = start(out)
    try:
        wait_for(out, "stages")
        second = finish(out)
        assert second.returncode == 2
        assert f"in use by process {driver.pid} on " in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        driver.kill()
        driver.communicate()
