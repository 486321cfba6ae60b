"""Real processes: a small run of the demo, killed, interrupted, resumed; always the same adapters and scores."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.execution.runs import fingerprint_of, finish, processes_of, start, wait_for, wait_gone


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


def test_a_second_call_runs_nothing(calm: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (calm / "stages").rglob("*")}
    done = finish(calm)
    assert done.returncode == 0
    assert "nothing was left to do" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in (calm / "stages").rglob("*")} == before


@pytest.mark.parametrize(
    "moment",
    ["stages/prepare-*", "stages/train-*/checkpoint-*", "stages/train-*/DONE", "stages/evaluate-*"],
    ids=["preparing", "training", "between stages", "evaluating"],
)
def test_a_killed_driver_costs_nothing_but_time(moment: str, calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    driver = start(out)
    wait_for(out, moment)
    driver.kill()
    driver.communicate()
    wait_gone(out)
    done = finish(out)
    assert done.returncode == 0, done.stderr
    assert fingerprint_of(out) == fingerprint_of(calm)


def test_a_killed_worker_is_replaced(calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    driver = start(out)
    wait_for(out, "stages/train-*/checkpoint-*")
    victims = [pid for pid in processes_of(out) if pid != driver.pid]
    assert victims
    os.kill(victims[0], signal.SIGKILL)
    _, log = driver.communicate(timeout=240)
    assert driver.returncode == 0, log
    assert fingerprint_of(out) == fingerprint_of(calm)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_cleanly_and_goes_on(number: signal.Signals, calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    driver = start(out)
    wait_for(out, "stages/train-*/checkpoint-*")
    asked = time.monotonic()
    driver.send_signal(number)
    _, log = driver.communicate(timeout=60)
    assert driver.returncode == 130, log
    assert time.monotonic() - asked < 20
    assert "the same command goes on" in log
    wait_gone(out)
    done = finish(out)
    assert done.returncode == 0, done.stderr
    assert fingerprint_of(out) == fingerprint_of(calm)


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
