"""The Makefile finds a Python, or says that there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def program(path: Path, lines: str) -> None:
    path.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    path.chmod(0o755)


def planned(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`make .venv/.package` for a fresh environment, where `folder` has the only programs called python."""
    make = shutil.which("make")
    assert make
    environment = {**os.environ, "PATH": str(folder)}
    command = [make, "-C", str(ROOT), f"VENV={folder / 'new'}", *arguments, f"{folder / 'new'}/.package"]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_the_newest_python_that_starts_is_taken(tmp_path: Path) -> None:
    program(tmp_path / "python3.13", "exit 127")  # as a version manager's stand-in for one that is not set up
    program(tmp_path / "python3.12", "exit 0")
    program(tmp_path / "python3.11", "exit 0")
    assert "python3.12 -m venv" in planned(tmp_path, "-n").stdout


def test_without_a_python_one_sentence_says_so(tmp_path: Path) -> None:
    program(tmp_path / "python3", "exit 1")  # too old
    done = planned(tmp_path)
    assert done.returncode == 2
    assert "no Python of 3.11 to 3.14 starts here" in done.stderr
    assert not (tmp_path / "new").exists()
