"""Limits on waiting, in seconds of a machine that has nothing else to do: a busy one gets as much longer as it is slow.

What must end, ends; what must not take long is held to a limit. Neither says anything about other work on the machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# asked before test processes are bound to one core each
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slowness() -> float:
    """How many times longer than alone work may take now: one, and one more for each process a core that is ready."""
    return 1 + os.getloadavg()[0] / CORES


def patient(seconds: float) -> float:
    """The limit, for this machine as it is now."""
    return seconds * slowness()


def wait_until(happens: Callable[[], object], seconds: float = 60, what: str = "it") -> None:
    """Waits for `happens`; fails after so many seconds, longer where the machine is or becomes busy."""
    begun = time.monotonic()
    while not happens():
        assert time.monotonic() - begun < patient(seconds), f"{what}: not within {seconds} quiet seconds"
        time.sleep(0.02)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What stands inside takes no longer."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took < patient(seconds), f"{took:.1f} s, over {seconds} quiet seconds"
