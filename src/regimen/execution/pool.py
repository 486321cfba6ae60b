"""The protocol of a pool: it takes jobs and reports on them. It submits and waits, nothing more.

Owns what scheduler and pools say to each other. A pool has no loop of its own, decides no order and retries nothing.
"""

from __future__ import annotations

from typing import Protocol

from regimen.stages.messages import Job, Message


class Pool(Protocol):
    """Workers that carry out jobs. The last message of each job is a `JobEnd`."""

    def free(self) -> int:
        """The number of jobs that can be submitted now."""
        ...

    def submit(self, job: Job) -> str:
        """Starts a job; returns the name of the worker that carries it out."""
        ...

    def wait(self, seconds: float) -> list[Message]:
        """Messages since the last call; returns early when there is one."""
        ...

    def interrupt(self) -> None:
        """Asks running jobs to save their state and end."""
        ...

    def close(self) -> None:
        """Ends everything, at once; nothing is left behind."""
        ...
