"""The process that workers are forked from: what must be true of it before a fork, and what its end comes to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from regimen.execution.local_pool import LocalPool
from regimen.execution.machine import LocalWorker
from regimen.stages.messages import Job, JobEnd
from regimen.stages.options import RunOptions, WorkerSetup

# What may not have happened before a fork: Python's other threads are lost by it, and CUDA refuses to work after it.
# (The threads of OpenBLAS and jemalloc, which numpy and pyarrow start, are theirs to stop and start again at a fork.)
FORKABLE = """
import threading, torch

touched = []
for name in ("is_available", "device_count", "_lazy_init", "current_device", "get_device_capability"):
    setattr(torch.cuda, name, lambda *a, name=name, **k: touched.append(name) or 0)
import regimen.stages.kinds

print(threading.active_count(), touched)
"""


def test_what_is_imported_before_the_fork_starts_no_thread_and_asks_for_no_gpu() -> None:
    done = subprocess.run([sys.executable, "-c", FORKABLE], capture_output=True, text=True, check=True)
    assert done.stdout.split(None, 1) == ["1", "[]\n"]


@pytest.fixture
def pool(tmp_path: Path) -> LocalPool:
    worker = LocalWorker(WorkerSetup(RunOptions(tmp_path), tmp_path / "cache", threads=1), {})
    return LocalPool([worker, worker], tmp_path / "logs")


def ends(pool: LocalPool, count: int) -> dict[str, str]:
    """How the next `count` jobs end, by their ids."""
    found: dict[str, str] = {}
    while len(found) < count:
        for message in pool.wait(60):
            if isinstance(message.event, JobEnd):
                found[message.job] = message.event.how
    return found


def empty(name: str) -> Job:
    """A job that a worker has done at once."""
    return Job(name, (), {})


def pid_of(worker: str) -> int:
    return int(worker.split("pid ")[1].rstrip(")"))


def test_a_killed_worker_is_reported_and_the_next_is_forked(pool: LocalPool) -> None:
    try:
        pool.submit(empty("first"))
        os.kill(pid_of(pool.submit(empty("second"))), signal.SIGKILL)
        found = ends(pool, 2)
        assert found["first"] == "done"
        assert found["second"] in ("died", "done")
        pool.submit(empty("third"))
        assert ends(pool, 1) == {"third": "done"}
    finally:
        pool.close()


def test_when_the_template_is_killed_its_workers_die_and_others_come(pool: LocalPool) -> None:
    try:
        worker = pid_of(pool.submit(empty("first")))
        ends(pool, 1)
        template = int(Path(f"/proc/{worker}/status").read_text().split("PPid:")[1].split()[0])
        os.kill(template, signal.SIGKILL)
        while Path(f"/proc/{worker}").exists():
            pool.wait(0.1)
        pool.submit(empty("second"))
        assert ends(pool, 1) == {"second": "done"}
    finally:
        pool.close()
