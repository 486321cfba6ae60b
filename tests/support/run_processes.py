"""A small run of the demo as real processes: starting it, watching it, and what it left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import patient, wait_until

ARGUMENTS = [
    "qwen2-finance", "--profile", "demo", "--only", "1-sst2", "--only", "3c-1-financial-sentiment", "--only",
    "3a-sst2", "--tasks", "sst2,financial-sentiment", "--eval-items", "12", "--workers", "2", "--cohort-width", "4",
    "--checkpoint-seconds", "0",
]  # fmt: skip


# One experiment on one worker: the least that has every kind of stage.
SMALL = [
    "qwen2-finance", "--profile", "demo", "--only", "3a-sst2", "--tasks", "sst2", "--eval-items", "8", "--workers", "1",
    "--checkpoint-seconds", "0",
]  # fmt: skip


def command(out: Path, *more: str, arguments: list[str] = ARGUMENTS) -> list[str]:
    return [sys.executable, "-m", "regimen", "run", *arguments, "--out", str(out), *more]


def marked(out: Path) -> dict[str, str]:
    """An environment by which every process of a run can be found."""
    return {**os.environ, "REGIMEN_TEST_RUN": str(out)}


def finish(
    out: Path, *more: str, arguments: list[str] = ARGUMENTS, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(out, *more, arguments=arguments),
        env=marked(out) | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )


def start(
    out: Path, *more: str, arguments: list[str] = ARGUMENTS, environment: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(out, *more, arguments=arguments),
        env=marked(out) | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def fingerprint_of(out: Path) -> dict[str, Any]:
    """Every adapter's bytes, every loss and score, by stage folder."""
    found: dict[str, Any] = {}
    for folder in sorted((out / "stages").iterdir()):
        assert (folder / "DONE").is_file(), folder
        if folder.name.startswith("train-"):
            found[folder.name] = (
                (folder / "adapter_model.safetensors").read_bytes(),
                (folder / "metrics.jsonl").read_text(),
            )
        elif folder.name.startswith("evaluate-"):
            found[folder.name] = json.loads((folder / "outcome.json").read_text())["facts"]["metrics"]
    return found


def assert_close(found: dict[str, Any], calm: dict[str, Any]) -> None:
    """The same stages, with losses equal to rounding: what is left of a cohort may go on in smaller company."""
    assert found.keys() == calm.keys()
    for name in calm:
        if name.startswith("train-"):
            losses = [
                [json.loads(line)["loss"] for line in trace.splitlines()] for _, trace in (found[name], calm[name])
            ]
            assert losses[0] == pytest.approx(losses[1], rel=1e-4), name


def logged(out: Path) -> dict[str, list[dict[str, Any]]]:
    """The log of each stage, by the name of its folder."""
    return {
        log.parent.name: [json.loads(line) for line in log.read_text().splitlines() if line]
        for log in (out / "stages").glob("*/log.jsonl")
    }


def commits(out: Path) -> Counter[str]:
    """How often each stage says that it was committed, from its log."""
    counted: Counter[str] = Counter()
    for name, lines in logged(out).items():
        counted[name] = sum(line["event"] in ("done", "skipped") for line in lines)
    return counted


def begun_again(out: Path) -> list[str]:
    """The stages that more than one worker began, by their logs."""
    workers = {
        name: {line["worker"] for line in lines if line["event"] == "started"} for name, lines in logged(out).items()
    }
    return [name for name, found in workers.items() if len(found) > 1]


def assert_committed_once(out: Path, killed_before_the_log: int = 1) -> None:
    """No stage was committed twice; where it was killed between marker and log there is no line, and only there."""
    counted = commits(out)
    assert max(counted.values()) == 1
    assert sum(count == 0 for count in counted.values()) <= killed_before_the_log
    assert not list((out / "stages").glob("*/.*.tmp")), "nothing half-written stays"


def processes_of(out: Path) -> list[int]:
    """Living processes of a run: none may outlive their driver."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"REGIMEN_TEST_RUN={out}\0".encode() in environment:
                found.append(int(entry.name))
    return found


def wait_for(out: Path, pattern: str, seconds: float = 60) -> None:
    wait_until(lambda: list(out.glob(pattern)), seconds, pattern)


def wait_gone(out: Path, seconds: float = 10) -> None:
    begun = time.monotonic()
    while left := processes_of(out):
        assert time.monotonic() - begun < patient(seconds), f"left behind: {[_command_of(pid) for pid in left]}"
        time.sleep(0.05)


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
    except OSError:
        return str(pid)
