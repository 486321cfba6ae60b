"""The one command for the day a GPU is there, tried at a tiny size on the CPU; its processes and times are faked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gpu import __main__ as command
from benchmarks.gpu.common import NOT_INSTALLED, Clock, attempts
from benchmarks.gpu.hours import plan_hours

QUICK = [name for name in command.SHARES if name != "peers"]


@pytest.mark.filterwarnings("ignore")
def test_all_of_it_runs_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    assert command.main(["--smoke", "--json", str(file), "--only", ",".join(QUICK)]) == 0
    document = json.loads(file.read_text())
    sections = document["sections"]
    assert list(sections) == [*QUICK, "plan hours"]
    rows = [row for section in sections.values() for row in section]
    assert not [row for row in rows if "failed" in row]
    assert {row["K"]: row["step_ms"] > 0 for row in sections["steps"] if "step_ms" in row} == {1: True, 2: True}
    assert all(row["equal"] for row in sections["repeats"])
    assert sections["attention"][0]["worst_error"] < 1e-5
    assert [row["gpus"] for row in sections["plan hours"]] == [1, 2, 4, 8]
    assert document["versions"]["vllm"] == NOT_INSTALLED
    assert {"who": "vLLM", "absent": f"vllm {NOT_INSTALLED}"} in sections["answers"]
    assert {"way": "liger-kernel", "absent": f"liger_kernel {NOT_INSTALLED}"} in sections["head"]
    assert "plan hours\n  way eager, gpus 1" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_trl_is_measured_on_the_same_rows(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    assert command.main(["--smoke", "--json", str(file), "--only", "peers"]) == 0
    rows = json.loads(file.read_text())["sections"]["peers"]
    assert {row["who"] for row in rows if row["tokens_per_second"] > 0} == {"regimen", "TRL"}


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("regimen.gpus.installed", lambda: ())
    assert command.main([]) == 2
    assert "no GPU is visible; --smoke tries the command without one" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["--only", "stepps"])


def test_what_cannot_be_measured_says_why_and_the_rest_goes_on() -> None:
    def out_of_memory() -> dict[str, object]:
        raise RuntimeError("CUDA out of memory\nand more")

    clock = Clock(60)
    attempts(clock, [({"K": 8}, out_of_memory), ({"K": 1}, lambda: {"error": float("nan")})])
    attempts(Clock(-1, rows=clock.rows), [({"K": 2}, out_of_memory)])
    assert clock.rows == [
        {"K": 8, "failed": "RuntimeError: CUDA out of memory"},
        {"K": 1, "error": "nan"},
        {"K": 2, "skipped": "no time left"},
    ]


def test_a_section_that_breaks_keeps_its_rows_and_leaves_the_others_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a process of its own: one that is killed in the middle, one that does not end."""

    def run(given: list[str], timeout: float, **more: Any) -> subprocess.CompletedProcess[bytes]:
        assert given[:3] == [sys.executable, "-m", "benchmarks.gpu"]
        Path(given[-1]).write_text('{"K": 1, "step_ms": 20.0}\n')
        if "answers" in given:
            raise subprocess.TimeoutExpired(given, timeout)
        return subprocess.CompletedProcess(given, -11)

    monkeypatch.setattr(subprocess, "run", run)
    assert command.in_a_process("steps", 60) == [
        {"K": 1, "step_ms": 20.0}, {"failed": "its process ended with code -11"}
    ]  # fmt: skip
    assert command.in_a_process("answers", 60)[-1] == {"failed": "ended after 130 s"}


def test_hours_of_the_plan_by_hand() -> None:
    """A step of 36 ms, whatever the width: one GPU is best with eight together."""
    steps = [{"K": width, "way": way, "step_ms": 36.0} for width in (1, 8) for way in ("eager", "compiled")]
    rows = plan_hours(steps, "fast")
    assert {row["way"] for row in rows} == {"compiled", "eager", "the best of each width"}
    one, two = rows[0], rows[1]
    assert (one["gpus"], one["width"], one["efficiency"]) == (1, 8, 1.0)
    assert float(str(two["hours"])) <= float(str(one["hours"]))
    assert plan_hours([{"K": 8, "way": "eager", "failed": "out of memory"}]) == []


def test_the_time_is_under_twenty_minutes() -> None:
    shares = sum(command.SHARES.values())
    assert shares <= 18.0
    longest = sum(max(10.0, minutes * 60 - command.STARTING) + command.STARTING for minutes in command.SHARES.values())
    assert longest <= 20 * 60
