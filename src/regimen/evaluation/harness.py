"""Whether lm-evaluation-harness is here; it comes with the extra `lm-eval`. Loads nothing of it."""

from __future__ import annotations

from importlib.util import find_spec


def why_no_harness(task: str) -> str | None:
    """None if a task of the harness can be run here; else one sentence that says what it needs."""
    if find_spec("lm_eval") is not None:
        return None
    return f"the task {task!r} needs lm-evaluation-harness; pip install 'regimen-lm[lm-eval]'"
