"""The process that workers are forked from: what must be true of it before a fork, and what its end comes to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from regimen.execution.local_pool import LocalPool
from regimen.stages.place import Place

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
    place = Place(stages=str(tmp_path / "stages"), cache=str(tmp_path / "cache"), threads=1).to_json()
    return LocalPool([place, place], tmp_path / "logs")


def heard(pool: LocalPool, count: int) -> dict[str, str]:
    events: list[dict[str, str]] = []
    while len(events) < count:
        events += pool.wait(60)
    return {event["job"]: f"{event['event']}: {event.get('error', '')}" for event in events}


NOTHING = {"kind": "nothing", "names": {}}


def test_a_killed_worker_is_told_and_the_next_is_forked(pool: LocalPool) -> None:
    try:
        pool.submit("first", NOTHING)
        worker = int(pool.submit("second", NOTHING).split("pid ")[1].rstrip(")"))
        os.kill(worker, signal.SIGKILL)
        told = heard(pool, 2)
        assert told["first"].startswith("error: ")
        assert told["second"].startswith(("died: ", "error: "))
        pool.submit("third", NOTHING)
        assert heard(pool, 1)["third"].startswith("error: ")
    finally:
        pool.close()


def test_when_the_template_is_killed_its_workers_die_and_others_come(pool: LocalPool) -> None:
    try:
        worker = int(pool.submit("first", NOTHING).split("pid ")[1].rstrip(")"))
        heard(pool, 1)
        template = int(Path(f"/proc/{worker}/status").read_text().split("PPid:")[1].split()[0])
        os.kill(template, signal.SIGKILL)
        while Path(f"/proc/{worker}").exists():
            pool.wait(0.1)
        pool.submit("second", NOTHING)
        assert heard(pool, 1)["second"].startswith("error: ")
    finally:
        pool.close()
