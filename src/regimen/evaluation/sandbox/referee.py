"""Judges cases one after another: a warm tester, and for each case a candidate in a sandbox of its own.

Owns the order of events and the clocks that do not depend on what runs in the sandboxes. Believes the
tester's verdict and nothing else; reads at most one small frame of it.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from io import FileIO

from regimen.errors import DataError, MachineError
from regimen.evaluation.sandbox import launch
from regimen.evaluation.sandbox.inside.channel import receive, send
from regimen.evaluation.sandbox.inside.codec import Malformed, TooLarge, decode, encode
from regimen.evaluation.sandbox.inside.remote import ASKED_LIMIT
from regimen.evaluation.sandbox.inside.tester import START_SECONDS, VERDICT_LIMIT
from regimen.evaluation.sandbox.terms import REASONS, Case, Limits, Verdict, verdict
from regimen.evaluation.sandbox.ways import Way

PROGRAM_LIMIT = 1 << 18
# What the tester may take beyond the candidate's own time before it is given up.
_GRACE_SECONDS = 3.0


class Referee:
    """One tester and its candidates; a context manager. Not for two threads at once."""

    def __init__(self, way: Way, limits: Limits):
        self._limits = limits
        self._stack = ExitStack()
        self._testers = self._stack.enter_context(launch.Launcher(way, launch.tester(limits), limits.disk))
        self._candidates = self._stack.enter_context(launch.Launcher(way, launch.candidate(limits), limits.disk))
        self._tester: _Tester | None = None

    def __enter__(self) -> Referee:
        return self

    def __exit__(self, *_: object) -> None:
        self._dismiss()
        self._stack.close()

    def judge(self, case: Case) -> Verdict:
        """The verdict on one case.

        Raises DataError when the case's own test is broken, MachineError when a sandbox does not start.
        """
        if len(case.program) > PROGRAM_LIMIT:
            return verdict("limit", f"a program of {len(case.program)} characters")
        job = self._job(case)
        if self._tester is None:
            self._tester = _Tester(self._testers)
        with ExitStack() as stack:
            calls, asking = _pipe(stack)
            answers, replies = _pipe(stack)
            outcome, saying = _pipe(stack)
            for end in (asking, answers, outcome):
                os.set_blocking(end.fileno(), False)  # these are read and written against the clock
            self._tester.brief(job, [saying, asking, answers])
            reason, detail = self._hear(outcome, self._limits.seconds + _GRACE_SECONDS, "go")
            if reason == "ended":
                reason, detail = "crashed", "compiling it ended the interpreter"
            if reason == "go":
                reason, detail = self._play(outcome, calls, replies)
        return _read(case, reason, detail)

    def _job(self, case: Case) -> bytes:
        job = {
            "program": case.program,
            "entry_point": case.entry_point,
            "test": case.test,
            "prompt": case.prompt,
            "seconds": float(self._limits.seconds),
            "call_seconds": float(self._limits.call_seconds),
            "cpu_seconds": self._limits.cpu_seconds,
            "output": self._limits.output,
        }
        try:
            return encode(job, ASKED_LIMIT)
        except TooLarge as error:
            raise DataError(f"The test of {_named(case)} is too large to run ({error}); shorten it.") from error

    def _play(self, outcome: FileIO, calls: FileIO, replies: FileIO) -> tuple[str, str]:
        box = self._candidates.start([calls.fileno(), replies.fileno()])
        try:
            calls.close()
            replies.close()
            reason, detail = self._hear(
                outcome, START_SECONDS + _GRACE_SECONDS, "running", "not started", "broken test"
            )
            if reason == "running":
                reason, detail = self._hear(outcome, self._limits.seconds + _GRACE_SECONDS, "broken test")
        finally:
            box.end()
        return ("limit", "its results ended the process of the test") if reason == "ended" else (reason, detail)

    def _hear(self, outcome: FileIO, seconds: float, *words: str) -> tuple[str, str]:
        """The tester's next word: a verdict or one of `words`; "ended" if none comes; after `seconds`, its end."""
        try:
            message = decode(receive(outcome.fileno(), VERDICT_LIMIT, time.monotonic() + seconds))
        except TimeoutError:
            self._dismiss()
            return "timeout", "the test did not end"
        except (EOFError, TooLarge, Malformed):
            return "ended", ""
        match message:
            case [str(reason), str(detail)] if reason in REASONS or reason in words:
                return reason, detail
        return "ended", ""

    def _dismiss(self) -> None:
        if self._tester is not None:
            self._tester.end()
            self._tester = None


class _Tester:
    """The process that runs tests, and the socket on which it takes jobs."""

    def __init__(self, launcher: launch.Launcher):
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._box = launcher.start([theirs.fileno()])
        self._connection.setblocking(False)
        try:
            receive(self._connection.fileno(), VERDICT_LIMIT, time.monotonic() + START_SECONDS)
        except (EOFError, TimeoutError) as error:
            self.end()
            raise _not_started("the tests") from error

    def brief(self, job: bytes, ends: list[FileIO]) -> None:
        """Hands over one job with the pipe ends that belong to it."""
        try:
            socket.send_fds(self._connection, [b"j"], [end.fileno() for end in ends])
            send(self._connection.fileno(), job, time.monotonic() + START_SECONDS)
        except (BrokenPipeError, TimeoutError) as error:
            raise _not_started("the tests") from error
        for end in ends:
            end.close()

    def end(self) -> None:
        self._connection.close()
        self._box.end()


def _pipe(stack: ExitStack) -> tuple[FileIO, FileIO]:
    """The reading and the writing end."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    return stack.enter_context(FileIO(reading, "rb")), stack.enter_context(FileIO(writing, "wb"))


def _read(case: Case, reason: str, detail: str) -> Verdict:
    if reason == "not started":
        raise _not_started("a program")
    if reason == "broken test":
        raise DataError(f"The test of {_named(case)} cannot judge any program: {detail}; repair it or leave it out.")
    return verdict(reason, detail)  # type: ignore[arg-type]  # `_hear` lets no other reason through


def _named(case: Case) -> str:
    return f"{case.entry_point} (row {case.origin})" if case.origin else case.entry_point


def _not_started(what: str) -> MachineError:
    return MachineError(
        f"The sandbox for {what} did not start within {START_SECONDS:.0f} s although one did before; "
        "free memory or processes on this machine and run the same command again."
    )
