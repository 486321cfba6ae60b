"""The ways to isolate that work here, each tried for real before any test relies on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from regimen.evaluation.sandbox import probe, ways

_ASK = "import importlib.util, sysconfig; print(importlib.util.MAGIC_NUMBER.hex(), sysconfig.get_path('stdlib'))"


def _interpreters() -> Iterator[ways.Interpreter]:
    """The running one; and the system's, since root's bubblewrap cannot reach one that lies in root's home."""
    yield ways.Interpreter.running()
    program = Path("/usr/bin/python3").resolve()
    if program.exists():
        said = subprocess.run(
            [program, "-I", "-S", "-c", _ASK], capture_output=True, text=True, check=True
        ).stdout.split()
        if said[0] == MAGIC_NUMBER.hex():
            yield ways.Interpreter(str(program), (said[1],))


def working_ways() -> dict[str, ways.Way]:
    """One entry for bubblewrap and one for unshare, each where it works."""
    working: dict[str, ways.Way] = {}
    if sys.platform == "linux":
        for interpreter in _interpreters():
            for way in ways.installed(interpreter):
                if way.name not in working and probe.try_out(way) is None:
                    working[way.name] = way
    return working


WAYS = working_ways()


@pytest.fixture(params=list(WAYS) or [pytest.param("", marks=pytest.mark.skip("this machine does not isolate"))])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ways.Way:
    """Each working way in turn, as the one that `judge` uses."""
    monkeypatch.setattr(probe, "first_working", lambda: (WAYS[request.param], None))
    return WAYS[request.param]
