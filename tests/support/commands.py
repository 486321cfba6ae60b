"""The command `regimen` as a user calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def regimen(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "regimen", *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


def refused(*arguments: str, cwd: Path | None = None) -> str:
    """What a command that must refuse its input says on stderr: exit code 2, no traceback, nothing on stdout."""
    done = regimen(*arguments, cwd=cwd)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr
