"""What a run shows where no terminal is: plain lines, few, with step and loss. What it shows on one."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from regimen.api import load_and_compile
from regimen.cli import progress as module
from regimen.cli.progress import Progress, steps_of
from regimen.execution.events import AlreadyDone, Note, StageChanged
from regimen.execution.events import Progress as Steps
from regimen.plan import Plan, TrainSpec
from regimen.stages.messages import StageProgress


@pytest.fixture
def plan() -> Plan:
    return load_and_compile("qwen2-finance", profile="demo", only=["3a-sst2"], tasks=["sst2"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the display sees; tests move it."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def screen(width: int = 200) -> Console:
    return Console(file=io.StringIO(), width=width)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_an_earlier_call_did_is_counted_as_done(plan: Plan) -> None:
    console = screen()
    _, *done = plan.stages
    with Progress(plan, console) as progress:
        progress(AlreadyDone(tuple(done)))
    assert f"{len(done)}/{len(plan.stages)} stages done; workers are starting" in shown(console)


def test_workers_start_only_where_something_is_left_to_do(plan: Plan) -> None:
    console = screen()
    with Progress(plan, console) as progress:
        progress(AlreadyDone(tuple(plan.stages)))
    assert "starting" not in shown(console)


def test_an_hour_of_training_takes_ten_lines_and_then_one_a_minute(plan: Plan, clock: list[float]) -> None:
    console = screen()
    training = next(name for name, stage in plan.stages.items() if isinstance(stage, TrainSpec))
    with Progress(plan, console) as progress:
        progress(StageChanged(training, "running"))
        for second in range(3600):
            clock[0] += 1
            progress(Steps((StageProgress(training, 1 + second // 600, 7, 0.35),)))
    lines = shown(console).splitlines()
    assert 10 + 55 <= len(lines) <= 10 + 60
    assert f"{plan.stages[training].label} step 6 of 7, loss 0.350" in lines[-1]


def test_notes_and_failures_are_never_left_out(plan: Plan, clock: list[float]) -> None:
    console = screen()
    with Progress(plan, console) as progress:
        for number in range(30):
            progress(Note(f"note {number}"))
    assert [line.split(" ", 1)[1] for line in shown(console).splitlines() if "note" in line][-1] == "note 29"
    assert shown(console).count("note ") == 30


def test_a_step_under_way_is_shown_on_a_terminal_and_is_one_line_elsewhere() -> None:
    plain = screen()
    with steps_of("writing the report", plain) as tell:
        tell("reading scores")
        tell("drawing")
    assert shown(plain).count("\n") == 1
    assert shown(plain).endswith("writing the report\n")
    live = Console(file=io.StringIO(), width=80, force_terminal=True)
    with steps_of("writing the report", live) as tell:
        tell("reading scores")
    assert "writing the report: reading scores" in shown(live)
