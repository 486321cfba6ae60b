"""Fifty random SIGKILLs over one demo run: does it end, bit-equal to an undisturbed one, and at what cost in time?

    python -m benchmarks.reliability.soak --out benchmarks/reliability/soak.json

Runs the study once undisturbed, then again while processes of the run are killed: at even intervals of working time
one of those alive, the driver or a worker, drawn at random. Time in which no worker works (a killed driver is started
again with the same command and imports torch) counts for the cost and not for the interval, so that every kill
hits work. Writes what was measured, whatever it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.support.run_processes import commits, fingerprint_of

POLL_SECONDS = 0.1


def start(arguments: list[str], out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "regimen", "run", *arguments, "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def workers_at_work(driver: int) -> list[int]:
    """The driver's workers: what the processes it started have forked, once torch was imported."""
    return [worker for template in children_of(driver) for worker in children_of(template)]


def disturbed(arguments: list[str], out: Path, kills: int, gap: float, draw: random.Random) -> dict[str, Any]:
    begun = time.monotonic()
    victims: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    driver = start(arguments, out)
    worked, seen = 0.0, begun
    while True:
        time.sleep(POLL_SECONDS)
        now = time.monotonic()
        workers = workers_at_work(driver.pid)
        worked += now - seen if workers else 0.0
        seen = now
        if driver.poll() is not None:
            codes[str(driver.returncode)] += 1
            if driver.returncode == 0:
                break
            driver = start(arguments, out)
        elif workers and sum(victims.values()) < kills and worked >= gap * (1 + sum(victims.values())):
            victim = draw.choice([driver.pid, *workers])
            os.kill(victim, signal.SIGKILL)
            victims["driver" if victim == driver.pid else "worker"] += 1
    return {"seconds": time.monotonic() - begun, "working": worked, "kills": dict(victims), "exit_codes": dict(codes)}


def measure(given: argparse.Namespace, arguments: list[str], home: Path) -> dict[str, Any]:
    begun = time.monotonic()
    assert start(arguments, home / "calm").wait() == 0
    calm = time.monotonic() - begun
    sys.stderr.write(f"calm: {calm:.1f} s\n")
    found = disturbed(arguments, home / "run", given.kills, given.budget / given.kills, random.Random(given.seed))
    one, other = fingerprint_of(home / "calm"), fingerprint_of(home / "run")
    kills = sum(found["kills"].values())
    return {
        "command": " ".join(sys.argv[1:]),
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in ("regimen-lm", "torch")},
        "stages": len(one),
        "calm_seconds": round(calm, 1),
        "disturbed_seconds": round(found["seconds"], 1),
        "of_these_with_a_worker_at_work": round(found["working"], 1),
        "ratio": round(found["seconds"] / calm, 2),
        "kills": found["kills"],
        "driver_exit_codes": found["exit_codes"],
        "seconds_a_kill": round((found["seconds"] - calm) / max(1, kills), 2),
        "bit_equal": one == other,
        "stages_that_differ": sorted(name for name in one if one[name] != other.get(name)),
        "most_commits_of_a_stage": max(commits(home / "run").values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--budget", type=float, default=300.0, help="seconds of working time the kills are spread over")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--tasks", default=None)
    parser.add_argument("--workers", default="2")
    parser.add_argument("--checkpoint-seconds", default="2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    arguments = ["qwen2-finance", "--profile", "demo", "--workers", given.workers]
    arguments += ["--checkpoint-seconds", given.checkpoint_seconds]
    arguments += [word for pattern in given.only for word in ("--only", pattern)]
    arguments += ["--tasks", given.tasks] if given.tasks else []
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        report = measure(given, arguments, home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    text = json.dumps(report, indent=2) + "\n"
    sys.stdout.write(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
