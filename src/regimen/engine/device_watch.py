"""Watches a GPU from a thread: a kernel that never ends blocks the thread that waits for it, and raises nothing.

Owns the watch. It marks the GPU's stream now and then, and looks whether the mark was passed. Does not know jobs: who
watches says what a GPU that hangs means.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

LIMIT_SECONDS = 600.0  # no kernel of this program takes a hundredth of it
EVERY_SECONDS = 10.0
_recording = threading.Lock()


class Mark(Protocol):
    """A place in a GPU's stream of work."""

    def query(self) -> bool:
        """Whether the GPU is past it."""
        ...


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, no watch touches the GPU: CUDA forbids it while a graph is recorded."""
    with _recording:
        yield


def can_hang(device: str) -> bool:
    """Whether this process waits for a device of this name: a CPU raises or ends by itself."""
    return torch.device(device).type == "cuda"


def mark_of(device: str) -> Mark | None:
    """A mark at the end of the work that the GPU has been given so far; None before it has been given any."""
    if not torch.cuda.is_initialized():
        return None
    return torch.cuda.default_stream(torch.device(device)).record_event()


def watch(device: str, hangs: Callable[[str], None]) -> None:
    """Begins to watch; calls `hangs` with one sentence, once, if the GPU has not passed a mark in LIMIT_SECONDS."""
    if can_hang(device):
        threading.Thread(target=_watch, args=(device, hangs), daemon=True).start()


def _watch(device: str, hangs: Callable[[str], None]) -> None:
    pending: Mark | None = None
    since = time.monotonic()
    while time.monotonic() - since <= LIMIT_SECONDS:
        time.sleep(EVERY_SECONDS)
        with _recording:
            try:
                if pending is None or pending.query():
                    pending, since = mark_of(device), time.monotonic()
            except RuntimeError:  # the device is broken: the thread that computes hears of it too
                return
    hangs(f"the device hangs: in {LIMIT_SECONDS:g} s it has not ended the work that it was given")
