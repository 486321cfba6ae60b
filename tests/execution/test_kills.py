"""SIGKILL at every named point, to the worker and to the driver: the rerun equals the undisturbed run."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.support.kill_points import BEGINNINGS, POINTS, hits, plan_kills
from tests.support.run_processes import (
    SMALL,
    assert_committed_once,
    begun_again,
    fingerprint_of,
    finish,
    logged,
    wait_gone,
)

BEFORE_THE_REPORT = [name for name in POINTS if name != "during the report"]


@pytest.mark.slow
def test_a_worker_killed_at_each_point(small_calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = finish(out, arguments=SMALL, environment=plan_kills(tmp_path / "kills", "self", BEFORE_THE_REPORT))
    assert done.returncode == 0, done.stderr
    assert hits(tmp_path / "kills") == set(BEFORE_THE_REPORT)
    assert fingerprint_of(out) == fingerprint_of(small_calm)
    assert_committed_once(out)
    wait_gone(out)


@pytest.mark.slow
def test_a_worker_told_to_end_in_training_and_in_evaluation(small_calm: Path, tmp_path: Path) -> None:
    """SIGTERM, as a machine sends it that goes down: another worker goes on, and nothing counts as a death."""
    out = tmp_path / "run"
    points = list(BEGINNINGS)
    done = finish(out, arguments=SMALL, environment=plan_kills(tmp_path / "ends", "self", points, signal.SIGTERM))
    assert done.returncode == 0, done.stderr
    assert hits(tmp_path / "ends") == set(points)
    assert fingerprint_of(out) == fingerprint_of(small_calm)
    assert_committed_once(out, killed_before_the_log=0)
    assert "error" not in {event["event"] for events in logged(out).values() for event in events}
    assert begun_again(out), "a training went on in another worker"
    wait_gone(out)


@pytest.mark.slow
def test_a_driver_killed_at_each_point(small_calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    kills = plan_kills(tmp_path / "kills", "driver", BEFORE_THE_REPORT)
    codes = []
    markers: dict[Path, int] = {}
    while not codes or codes[-1] == -9:
        assert len(codes) <= len(BEFORE_THE_REPORT)
        codes.append(finish(out, arguments=SMALL, environment=kills).returncode)
        wait_gone(out)
        now = {path: path.stat().st_mtime_ns for path in out.glob("stages/*/DONE")}
        assert now.items() >= markers.items(), "a marker that stood was written again"
        markers = now
    assert codes == [-9] * len(BEFORE_THE_REPORT) + [0]
    assert hits(tmp_path / "kills") == set(BEFORE_THE_REPORT)
    assert fingerprint_of(out) == fingerprint_of(small_calm)
    assert_committed_once(out)


def test_a_driver_killed_during_the_report(small_calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(small_calm, out)
    report = out / "report" / "index.html"
    report.unlink()
    kills = plan_kills(tmp_path / "kills", "self", ["during the report"])
    assert finish(out, arguments=SMALL, environment=kills).returncode == -9
    assert not report.exists()
    done = finish(out, arguments=SMALL)
    assert done.returncode == 0
    assert "nothing was left to do" in done.stderr
    assert report.is_file()
    assert not list(report.parent.glob(".*.tmp")), "nothing half-written stays"
    assert fingerprint_of(out) == fingerprint_of(small_calm)
