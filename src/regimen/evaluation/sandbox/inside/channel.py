"""Frames over a pipe, with a limit and a deadline: four bytes of length, then that many bytes.

Knows nothing of what the bytes mean. Deadlines are values of `time.monotonic()`; None waits for ever.
"""

from __future__ import annotations

import os
import select
import struct
import time

from regimen.evaluation.sandbox.inside.codec import TooLarge

_LENGTH = struct.Struct("<I")


def send(fd: int, payload: bytes, deadline: float | None = None) -> None:
    """Writes one frame; with a deadline, `fd` must not block.

    Raises TimeoutError after the deadline, BrokenPipeError when nobody can read it any more.
    """
    rest = memoryview(_LENGTH.pack(len(payload)) + payload)
    while rest:
        _await(fd, select.POLLOUT, deadline)
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            continue


def receive(fd: int, limit: int, deadline: float | None = None) -> bytes:
    """Reads one frame of at most `limit` bytes, and not a byte beyond it.

    Raises TooLarge, TimeoutError after the deadline, EOFError when every writer is gone.
    """
    (size,) = _LENGTH.unpack(_exactly(fd, _LENGTH.size, deadline))
    if size > limit:
        raise TooLarge(f"more than {limit} bytes")
    return _exactly(fd, size, deadline)


def _exactly(fd: int, size: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < size:
        _await(fd, select.POLLIN, deadline)
        piece = os.read(fd, min(size - len(data), 1 << 16))
        if not piece:
            raise EOFError("the other side is gone")
        data += piece
    return bytes(data)


def _await(fd: int, event: int, deadline: float | None) -> None:
    poll = select.poll()
    poll.register(fd, event)
    left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
    if not poll.poll(left):
        raise TimeoutError("nothing came in time")
