"""None of the hostile programs passes, harms the machine, or outlives its turn."""

from __future__ import annotations

import os
import select
import socket
import sysconfig
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from regimen.evaluation.sandbox import REASONS, Case, Limits, Verdict, judge, judge_many, launch
from regimen.evaluation.sandbox.ways import Interpreter
from tests.support.hostile_programs import CHECK, ENDLESS, GROUPS, Hostile
from tests.support.patience import within
from tests.support.sandbox_processes import marked

# What an attack with a slip in it would fail by.
MISTAKES = ("NameError", "AttributeError", "TypeError", "ImportError", "KeyError", "UnboundLocalError")


class Machine:
    """What the programs may attack: a file, a secret, two servers, this process."""

    def __init__(self, folder: Path, mark: str):
        self.mark = mark
        self.canary = folder / "canary"
        self.canary.write_text("unharmed")
        self.servers = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
        self.servers[1].bind(f"\0{mark}")
        self.servers[1].listen()
        self.folders = {Path(name): set(os.listdir(name)) for name in (folder, Path(__file__).parent)}

    @property
    def facts(self) -> dict[str, object]:
        home = [str(path) for path in Path.home().iterdir() if path.is_file()]
        return {
            "pid": os.getpid(),
            "port": self.servers[0].getsockname()[1],
            "abstract": self.mark,
            "canary": str(self.canary),
            "source": __file__,
            "home": (home or [str(self.canary)])[0],
            "packages": [
                sysconfig.get_path("purelib"),
                *(f"{path}/site-packages" for path in Interpreter.running().folders),
            ],
        }

    def assert_unharmed(self) -> None:
        assert self.canary.read_text() == "unharmed"
        assert select.select(self.servers, [], [], 0)[0] == [], "somebody connected from inside"
        assert marked(self.mark) == []
        assert {folder: set(os.listdir(folder)) for folder in self.folders} == self.folders


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    mark = f"regimen-{uuid.uuid4()}"
    monkeypatch.setenv("REGIMEN_SECRET", "secret")
    monkeypatch.setattr(launch, "_ENVIRONMENT", {**launch._ENVIRONMENT, "MARK": mark})
    machine = Machine(tmp_path, mark)
    yield machine
    for server in machine.servers:
        server.close()


def assert_rejected(programs: dict[str, Hostile], verdicts: list[Verdict]) -> None:
    for (name, hostile), verdict in zip(programs.items(), verdicts, strict=True):
        assert not verdict.passed, name
        assert verdict.kind in REASONS, name
        assert verdict.kind in hostile.kinds, (name, verdict)
        assert not any(mistake in verdict.reason for mistake in MISTAKES), (name, verdict)
        assert len(verdict.reason) < 300, name
        assert verdict.reason.isprintable(), name


@pytest.mark.parametrize("group", GROUPS)
def test_no_hostile_program_passes_or_harms_or_stays(group: str, machine: Machine, way):
    descriptors = os.listdir("/proc/self/fd")
    cases = [Case(f"HOST = {machine.facts!r}\n{program}", "f", test) for program, _, test in GROUPS[group].values()]
    assert_rejected(GROUPS[group], judge_many(cases))
    machine.assert_unharmed()
    assert os.listdir("/proc/self/fd") == descriptors


def test_no_endless_program_outlives_its_time(machine: Machine, way):
    limits = Limits(seconds=2.0, call_seconds=1.0)
    cases = [Case(program, "f", test) for program, _, test in ENDLESS.values()]
    with within(20):
        assert_rejected(ENDLESS, judge_many(cases, limits, parallel=len(cases)))
    machine.assert_unharmed()


def test_the_same_judge_passes_an_honest_program(machine: Machine, way):
    assert judge("def f(x):\n    return x * x", "f", CHECK).passed
    machine.assert_unharmed()


def test_the_mark_would_betray_a_process_that_stayed(machine: Machine, way):
    with launch.Launcher(way, launch.candidate(Limits()), Limits().disk) as launcher:
        calls, asking = os.pipe()
        answers, replies = os.pipe()
        box = launcher.start([calls, replies])
        try:
            assert os.read(answers, 4)  # it is up, and waits for a question
            assert marked(machine.mark)
        finally:
            box.end()
            for descriptor in (calls, asking, answers, replies):
                os.close(descriptor)
    machine.assert_unharmed()
