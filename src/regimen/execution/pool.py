"""What a pool is: it takes jobs and says what became of them. It submits and waits, nothing more.

Owns the protocol between scheduler and pools. A pool has no loop of its own, decides no order and retries nothing.
"""

from __future__ import annotations

from typing import Any, Protocol

Job = dict[str, Any]
Event = dict[str, Any]
LAST = ("done", "error", "died", "interrupted")  # the events after which a job is no longer running


class Pool(Protocol):
    """A place where jobs run.

    Events are plain dicts with "job" and "event": "placed" (with "worker", where that is known only later),
    "progress" (with "steps"), "ended" (with "outcome", a stage was committed), "failed" (with "stage" and "error",
    one stage cannot go on), and one of these last: "done", "error" (with "error" and "retry"), "died" (with "error"),
    "interrupted".
    """

    def free(self) -> int:
        """How many more jobs can be submitted now."""
        ...

    def submit(self, name: str, job: Job) -> str:
        """Starts a job; returns the name of what runs it."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """Events since the last call; returns early when there is one."""
        ...

    def interrupt(self) -> None:
        """Asks running jobs to save their state and end."""
        ...

    def close(self) -> None:
        """Ends everything, at once; nothing is left behind."""
        ...
