"""Random SIGKILLs over one demo run: does it end, bit-equal to an undisturbed one, and at what cost in time?

    python benchmarks/reliability/soak.py --kills 50 --only '3a-*' --out soak.json

Runs the study once undisturbed, then again while processes of the run - the driver or one of its workers, drawn at
random - are killed at random moments; a killed driver is started again with the same command. Each kill waits until
at least one worker works. Writes what was measured, whatever it is.
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

MARK = "REGIMEN_SOAK"


def start(arguments: list[str], out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "regimen", "run", *arguments, "--out", str(out)],
        env={**os.environ, MARK: str(out)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def workers_of(out: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"{MARK}={out}\0".encode() in (entry / "environ").read_bytes():
                line = (entry / "cmdline").read_bytes()
                found += [int(entry.name)] if b"regimen.execution.worker" in line else []
        except OSError:
            continue
    return found


def result_of(out: Path) -> dict[str, Any]:
    """Adapters, losses and scores by stage, and how often each stage says that it was done."""
    found: dict[str, Any] = {}
    for folder in sorted((out / "stages").iterdir()):
        assert (folder / "DONE").is_file(), folder
        if folder.name.startswith("train-"):
            found[folder.name] = (
                (folder / "adapter_model.safetensors").read_bytes(),
                (folder / "metrics.jsonl").read_bytes(),
            )
        elif folder.name.startswith("evaluate-"):
            found[folder.name] = json.loads((folder / "outcome.json").read_text())["facts"]["metrics"]
    return found


def most_commits(out: Path) -> int:
    most = 0
    for log in (out / "stages").glob("*/log.jsonl"):
        events = Counter(json.loads(line)["event"] for line in log.read_text().splitlines() if line)
        most = max(most, events["done"] + events["skipped"])
    return most


def disturbed(arguments: list[str], out: Path, kills: int, gap: float, draw: random.Random) -> dict[str, Any]:
    begun = time.monotonic()
    victims: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    driver = start(arguments, out)
    while True:
        moment = time.monotonic() + draw.uniform(0, 2 * gap)
        while driver.poll() is None and (time.monotonic() < moment or not workers_of(out)):
            time.sleep(0.05)
        if driver.poll() is not None:
            codes[str(driver.returncode)] += 1
            if driver.returncode == 0:
                break
            driver = start(arguments, out)
        elif sum(victims.values()) < kills:
            pids = workers_of(out)
            worker = bool(pids) and draw.random() < 0.5
            try:
                os.kill(draw.choice(pids) if worker else driver.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            victims["worker" if worker else "driver"] += 1
            if not worker:
                driver.wait()
        else:
            driver.wait()
    return {"seconds": time.monotonic() - begun, "kills": dict(victims), "exit_codes": dict(codes)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--tasks", default="sst2,financial-sentiment")
    parser.add_argument("--workers", default="2")
    parser.add_argument("--gap", type=float, default=12.0, help="mean seconds between kills")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    arguments = ["qwen2-finance", "--profile", "demo", "--workers", given.workers, "--checkpoint-seconds", "2"]
    arguments += [word for pattern in given.only for word in ("--only", pattern)] + ["--tasks", given.tasks]
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        begun = time.monotonic()
        assert start(arguments, home / "calm").wait() == 0
        calm = time.monotonic() - begun
        found = disturbed(arguments, home / "run", given.kills, given.gap, random.Random(given.seed))
        one, other = result_of(home / "calm"), result_of(home / "run")
        kills = sum(found["kills"].values())
        report = {
            "command": " ".join(sys.argv[1:]),
            "date": time.strftime("%Y-%m-%d"),
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "versions": {name: version(name) for name in ("regimen-lm", "torch")},
            "stages": len(one),
            "calm_seconds": round(calm, 1),
            "disturbed_seconds": round(found["seconds"], 1),
            "ratio": round(found["seconds"] / calm, 2),
            "kills": found["kills"],
            "driver_exit_codes": found["exit_codes"],
            "seconds_a_kill": round((found["seconds"] - calm) / max(1, kills), 2),
            "bit_equal": one == other,
            "most_commits_of_a_stage": most_commits(home / "run"),
        }
    finally:
        shutil.rmtree(home, ignore_errors=True)
    text = json.dumps(report, indent=2) + "\n"
    sys.stdout.write(text)
    if given.out:
        given.out.write_text(text)


if __name__ == "__main__":
    main()
