"""Ray: the same results as on local workers, through nodes that die and join, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kill_points import POINTS, hits, plan_kills
from tests.support.patience import patient
from tests.support.run_processes import (
    SMALL,
    assert_close,
    assert_committed_once,
    begun_again,
    fingerprint_of,
    finish,
    marked,
    start,
    wait_gone,
)

pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.mark.slow
def test_a_cluster_of_this_machine_gives_the_same_and_ends_with_the_run(calm: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = finish(out, "--pool", "ray")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"report: {out}/report/index.html\n", "Ray keeps its own words off our output"
    assert fingerprint_of(out) == fingerprint_of(calm)
    assert_committed_once(out)
    wait_gone(out, 20)


def test_no_cluster_is_said_and_nothing_left(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = finish(out, "--pool", "ray", "--ray-address", "127.0.0.1:1")
    assert done.returncode == 2
    assert "no Ray cluster at '127.0.0.1:1'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


# by the report no node works for us; all the others are eighty seconds of nodes starting
NODE_POINTS = [name for name in POINTS if name != "during the report"]
if "REGIMEN_SOAK" not in os.environ:
    NODE_POINTS = ["in the middle of a step"]
RUN_SECONDS = 240


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Three nodes; its processes carry the run's mark, so that a leftover is found."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.ray_cluster"],
        env=marked(tmp_path / "run") | plan_kills(tmp_path / "kills", "raylet", NODE_POINTS),  # nodes pass it on
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(patient(60))
    finally:
        process.kill()
        process.stdout.close()
    wait_gone(tmp_path / "run", 20)


@pytest.mark.slow
def test_nodes_that_die_and_nodes_that_join(small_calm: Path, cluster: subprocess.Popen[str], tmp_path: Path) -> None:
    """One node dies in the middle of a step; with REGIMEN_SOAK=1 one at each point."""
    out = tmp_path / "run"
    assert cluster.stdout is not None
    address = cluster.stdout.readline().strip()
    driver = start(out, "--pool", "ray", "--ray-address", address, arguments=SMALL)
    try:
        _, log = driver.communicate(timeout=patient(RUN_SECONDS))
    finally:
        driver.kill()
    assert driver.returncode == 0, log
    assert hits(tmp_path / "kills") == set(NODE_POINTS)
    assert_close(fingerprint_of(out), fingerprint_of(small_calm))
    assert_committed_once(out)
    assert begun_again(out), "what a node had begun went on on another"
