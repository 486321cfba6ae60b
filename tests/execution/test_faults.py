"""Faults of disk, memory, files and clock, each injected: a clear sentence, the right exit code, nothing lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from regimen.engine.adapter_bank import AdapterBank  # noqa: F401  (the engine is needed to read checkpoints)
from regimen.engine.checkpoints import checkpoint_path, load_state, save_state
from regimen.engine.states import MemberState
from regimen.errors import MachineError, RunFolderError
from regimen.execution.runner import run_plan
from regimen.execution.scheduler import MAX_DEATHS
from regimen.plan import Plan, compile_plan
from regimen.results import Ledger, RunFolder, read_ledger
from regimen.stages.options import RunOptions
from regimen.study import load_study
from tests.support.fake_pool import run
from tests.support.inline_runs import assert_done, run_inline
from tests.support.patience import patient
from tests.support.run_processes import SMALL, commits, fingerprint_of, marked

SIXTEENTHS = range(16)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_plan(
        load_study("qwen2-finance", "demo"), only=["3a-sst2", "3a-imdb"], tasks=["sst2"], eval_items=4, cohort_width=2
    )


@pytest.fixture(scope="module")
def done(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done") / "run"
    assert_done(run_inline(plan, out))
    return out


def in_a_small_world(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a script where it may mount file systems that nobody else sees."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no private mounts here")
    return subprocess.run(
        [unshare, "-rm", "sh", "-c", script, "sh", *arguments],
        capture_output=True,
        text=True,
        env=marked(Path(arguments[0])),
        check=False,
    )


@pytest.mark.slow
def test_a_full_disk_is_said_and_more_room_is_enough(small_calm: Path, tmp_path: Path) -> None:
    """A disk of 300 KiB, then one with room: the same command goes on and gives what it would have given."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    command = " ".join(["run", *SMALL, "--out", str(disk / "run")])
    done = in_a_small_world(
        f'mount -t tmpfs -o size=300k small "$1"; "$2" -m regimen {command}; code=$?; mount -o remount,size=64m "$1"; '
        f'"$2" -m regimen {command} >&2 || exit 99; cp -r "$1/run" "$3"; exit $code',
        str(disk), sys.executable, str(kept),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "the disk is full" in done.stderr
    assert "the same command resumes where it stopped" in done.stderr
    assert "Traceback" not in done.stderr
    assert fingerprint_of(kept) == fingerprint_of(small_calm)
    assert max(commits(kept).values()) == 1


def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = in_a_small_world(
        f'mount -t tmpfs -o size=1m,ro small "$1"; exec "$2" -m regimen run {" ".join(SMALL)} --out "$1/run"',
        str(disk), sys.executable,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "read-only" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("part", SIXTEENTHS)
def test_a_truncated_checkpoint_falls_back_to_one_before(part: int, tmp_path: Path) -> None:
    import torch

    state = MemberState(torch.arange(64.0), torch.ones(64), torch.zeros(64), updates=7)
    path = checkpoint_path(tmp_path, 12)
    save_state(path, state)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * part // 16])
    with pytest.raises(RunFolderError, match="delete its folder and run again"):
        load_state(path)


@pytest.mark.parametrize("part", SIXTEENTHS)
def test_a_truncated_ledger_is_rebuilt(part: int, plan: Plan, tmp_path: Path) -> None:
    run(plan, tmp_path)
    path = tmp_path / "ledger.sqlite"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * part // 16])
    _, pool = run(plan, tmp_path)
    assert pool.jobs == [], "the markers know what is done"
    assert {row["state"] for row in read_ledger(tmp_path).values()} == {"done"}


def test_a_truncated_adapter_is_trained_again_and_what_was_made_from_it_too(
    plan: Plan, done: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(done, out)
    before = fingerprint_of(out)
    cooldown = next(out.glob("stages/train-3a-sst2-cooldown-*"))
    (cooldown / "adapter_model.safetensors").write_bytes((cooldown / "adapter_model.safetensors").read_bytes()[:900])
    assert_done(run_inline(plan, out))
    again = fingerprint_of(out)
    assert again.keys() == before.keys()
    assert not [name for name in again if again[name] != before[name] and "3a-sst2" not in name], (
        "nothing else is touched"
    )
    assert (out / "set-aside" / cooldown.name).is_dir()
    assert json.loads(again[cooldown.name][1].splitlines()[-1])["loss"] == pytest.approx(
        json.loads(before[cooldown.name][1].splitlines()[-1])["loss"], rel=1e-4
    ), "alone it rounds otherwise than in its cohort"


@pytest.mark.parametrize("part", [0, 2, 4])
def test_a_truncated_marker_still_marks(part: int, plan: Plan, done: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(done, out)
    for marker in out.glob("stages/*/DONE"):
        marker.write_bytes(marker.read_bytes()[:part])
    run_inline(plan, out)
    assert max(commits(out).values()) == 1


@pytest.mark.parametrize("remove", ["DONE", "ledger.sqlite"])
def test_what_is_deleted_is_made_again(remove: str, plan: Plan, done: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(done, out)
    if remove == "DONE":
        next(out.glob("stages/evaluate-3a-sst2*/DONE")).unlink()
    else:
        (out / remove).unlink()
    assert_done(run_inline(plan, out))
    assert fingerprint_of(out) == fingerprint_of(done)
    assert {row["state"] for row in read_ledger(out).values()} == {"done"}


def test_a_stage_folder_of_another_version_is_refused(plan: Plan, done: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(done, out)
    folder = next(out.glob("stages/evaluate-3a-sst2*"))
    (folder / "DONE").unlink()
    spec = folder / "spec.json"
    spec.write_text(spec.read_text().replace('"version": ', '"version": 9', 1))
    scheduler = run_inline(plan, out)
    assert "holds another stage (version: 9" in next(iter(scheduler.errors.values()))
    assert "use another --out" in next(iter(scheduler.errors.values()))


def test_a_ledger_that_cannot_be_written_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path)

    class Full:
        def __enter__(self) -> None: ...
        def __exit__(self, *exception: object) -> None: ...
        def executemany(self, *arguments: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    real, ledger._db = ledger._db, Full()  # type: ignore[assignment]
    with pytest.raises(MachineError, match=r"ledger.sqlite cannot be written: the disk is full; free some space"):
        ledger.set_state(["anything"], "pending")
    real.close()


def test_a_full_disk_stops_the_run_and_fails_nothing(plan: Plan, tmp_path: Path) -> None:
    def halting(label: str, attempt: int) -> str:
        return "halt" if label == "imdb-finetune" else "done"

    with pytest.raises(MachineError, match="the disk is full"):
        run(plan, tmp_path, halting)
    states = {row["state"] for row in read_ledger(tmp_path).values()}
    assert states <= {"done", "pending"}
    again, _ = run(plan, tmp_path)
    assert set(again.states.values()) == {"done"}


def test_a_job_too_large_for_memory_is_carried_out_in_halves(plan: Plan, tmp_path: Path) -> None:
    told: list[str] = []

    def too_large_once(label: str, attempt: int) -> str:
        if "cooldown" in label and not told:
            told.append(label)
            return "memory"
        return "done"

    scheduler, pool = run(plan, tmp_path, too_large_once)
    assert set(scheduler.states.values()) == {"done"}
    assert [len(job) for job in pool.jobs if "cooldown" in job[0]] == [2, 1, 1]


def test_a_job_of_one_that_never_fits_fails(plan: Plan, tmp_path: Path) -> None:
    scheduler, pool = run(plan, tmp_path, lambda label, attempt: "memory" if label == "3a-sst2-trunk" else "done")
    assert "out of memory" in next(iter(scheduler.errors.values()))
    assert pool.attempts["3a-sst2-trunk"] <= MAX_DEATHS + 1
    assert "done" in scheduler.states.values()


def test_a_worker_told_to_end_hands_its_job_on(plan: Plan, tmp_path: Path) -> None:
    """A SIGTERM to one worker: its job is interrupted though nobody stops the run."""

    def told(label: str, attempt: int) -> str:
        return "interrupt" if attempt == 1 and "trunk" in label else "done"

    scheduler, _ = run(plan, tmp_path, told)
    assert set(scheduler.states.values()) == {"done"}


def test_a_clock_that_jumps_changes_no_span(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from regimen.results import Stopwatch

    real = time.time
    watch = Stopwatch()
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    assert 0 <= watch.ended - watch.started < patient(10)
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    assert 0 <= watch.ended - watch.started < patient(10)
    run(plan, tmp_path)
    assert RunFolder(tmp_path).is_locked() is False


def test_a_cache_that_cannot_be_written_is_named_before_anything_is(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where HOME is a folder that is not there: no data file is to blame."""
    monkeypatch.delenv("REGIMEN_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(MachineError, match=r"the cache folder .*home/.cache/regimen cannot be written .*REGIMEN_CACHE"):
        run_plan(plan, RunOptions(out=tmp_path / "run"), lambda event: None, {})
    assert not (tmp_path / "run").exists()
