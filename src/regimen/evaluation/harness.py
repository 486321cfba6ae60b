"""Checks that lm-evaluation-harness is installed (the extra `lm-eval`), without loading it."""

from __future__ import annotations

from importlib.util import find_spec


def why_no_harness(task: str) -> str | None:
    """None if a task of the harness can be run here; else one sentence with the remedy."""
    if find_spec("lm_eval") is not None:
        return None
    return f"the task {task!r} needs lm-evaluation-harness; pip install 'regimen-lm[lm-eval]'"
