"""Finds the processes that a test started in sandboxes, wherever they have hidden."""

from __future__ import annotations

from pathlib import Path


def marked(mark: str) -> list[int]:
    """The process ids that carry `mark` in the environment they were started with, which their children inherit."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue  # it has just ended, or is another user's
    return found
