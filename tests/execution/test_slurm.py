"""Slurm jobs, as submitit's local executor holds them: equal to local workers, through one that is killed and one that
begins late, and nothing is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from regimen.errors import UsageError
from regimen.execution.pools import check_options
from regimen.execution.slurm_pool import slurm_values
from regimen.execution.slurm_seat import Lines
from regimen.stages.options import RunOptions
from tests.support.patience import patient, wait_until
from tests.support.run_processes import (
    SMALL,
    assert_close,
    assert_committed_once,
    fingerprint_of,
    finish,
    processes_of,
    start,
    wait_for,
    wait_gone,
)

pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
HERE = ("--pool", "slurm", "--slurm", "cluster=local")


def seats(out: Path) -> list[int]:
    """The processes that hold a worker, each one of submitit's tasks."""
    found = []
    for pid in processes_of(out):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"submitit.core._submit" in words:
            found.append(pid)
    return sorted(found)


@pytest.mark.slow
def test_three_jobs_one_killed_and_one_late_give_the_same(calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    driver = start(out, *HERE, "--workers", "3")
    try:
        wait_until(lambda: len(seats(out)) == 3, 120, "three jobs")
        late = seats(out)[-1]
        os.kill(late, signal.SIGSTOP)
        wait_for(out, "stages/train-*/checkpoint-*", 240)
        killed = next(pid for pid in seats(out) if pid != late)
        os.kill(killed, signal.SIGKILL)
        wait_for(out, "stages/train-*/DONE", 240)
        os.kill(late, signal.SIGCONT)
        _, log = driver.communicate(timeout=patient(300))
    finally:
        driver.kill()
    assert driver.returncode == 0, log
    assert_close(fingerprint_of(out), fingerprint_of(calm))
    assert_committed_once(out)
    wait_gone(out, 30)
    assert not list((out / "slurm").iterdir()), "mailboxes are gone"


@pytest.mark.soak
def test_a_killed_driver_leaves_nobody_to_disturb_the_next_one(small_calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    driver = start(out, *HERE, arguments=SMALL)
    wait_for(out, "stages/train-*/checkpoint-*", 240)
    driver.kill()
    driver.wait()
    for pipe in (driver.stdout, driver.stderr):
        assert pipe is not None
        pipe.close()
    first = seats(out)
    assert first, "Slurm would let them go on, too"
    done = finish(out, *HERE, arguments=SMALL)
    assert done.returncode == 0, done.stderr
    assert fingerprint_of(out) == fingerprint_of(small_calm)
    assert_committed_once(out)
    assert not set(first) & set(seats(out)), "the first driver's worker was ended"
    wait_gone(out, 30)


def test_lines_are_read_whole_and_once(tmp_path: Path) -> None:
    written, read = Lines(tmp_path / "lines"), Lines(tmp_path / "lines")
    assert read.read() == []
    written.append("one")
    with written.path.open("ab") as file:
        file.write(b"tw")
    assert read.read() == ["one"]
    with written.path.open("ab") as file:
        file.write(b"o\nthree\n")
    assert read.read() == ["two", "three"]
    assert read.read() == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (RunOptions(Path("x"), pool="slurm"), "--pool slurm needs --workers N"),
        (RunOptions(Path("x"), slurm=("time=5",)), "--slurm 'time=5' needs --pool slurm"),
        (RunOptions(Path("x"), pool="slurm", workers=1, slurm=("time",)), "must be KEY=VALUE with a key of time, cpus"),
        (RunOptions(Path("x"), pool="slurm", workers=1, slurm=("tiem=5",)), "must be KEY=VALUE with a key of"),
        (RunOptions(Path("x"), pool="slurm", workers=1, slurm=("time=1:00",)), "time is a whole number of minutes"),
        (RunOptions(Path("x"), pool="slurm", workers=1, slurm=("cluster=pbs",)), "must be cluster=slurm"),
    ],
)
def test_wrong_options_are_one_sentence(options: RunOptions, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check_options(options)


def test_a_machine_without_slurm_is_said(tmp_path: Path) -> None:
    done = finish(tmp_path / "run", "--pool", "slurm", arguments=SMALL, environment={"PATH": "/nonexistent"})
    assert done.returncode == 2
    assert "needs the program sbatch" in done.stderr
    assert "Traceback" not in done.stderr


def test_values_of_slurm_jobs() -> None:
    assert slurm_values(["time=60", "partition=gpu", "gpus=1"]) == {"time": "60", "partition": "gpu", "gpus": "1"}
