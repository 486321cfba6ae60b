"""Runs the data set's tests against programs that run elsewhere: one warm process, a fork for each test.

The tests come from strangers, so this too runs in a sandbox, and is believed in nothing but its verdict. It
compiles generated programs, to turn the broken ones away early, and never runs them. As process 1 of its
own namespace it ends, after each test, whatever that test left running.

    over the socket    it says "ready"; then, for each job,
                       three descriptors (verdict, calls, replies) with one byte, and a frame: a dict, the job
    over `verdict`     ["go", ""] once a program is wanted, ["running", ""] when it has come up, then
                       [reason, detail]: a verdict's, or "broken test" or "not started"
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import sys
from importlib import import_module

from regimen.evaluation.sandbox.inside.channel import receive, send
from regimen.evaluation.sandbox.inside.codec import decode, encode
from regimen.evaluation.sandbox.inside.remote import ASKED_LIMIT, Broken, Remote

VERDICT_LIMIT = 1 << 12
START_SECONDS = 30.0
_PROCESSES = 16
# What tests like to import: imported before the fork it is paid for once.
_COMMON = ("collections", "copy", "functools", "heapq", "itertools", "math", "re", "string", "typing")


def serve(control: int) -> None:
    """Takes jobs from the socket `control` until it is closed."""
    for name in _COMMON:
        import_module(name)
    connection = socket.socket(fileno=control)
    send(control, encode("ready", VERDICT_LIMIT))
    while True:
        signal_byte, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
        if not signal_byte:
            return
        job = decode(receive(control, ASKED_LIMIT))
        child = os.fork()
        if child == 0:
            connection.close()
            _decide(job, *descriptors)
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        os.waitpid(child, 0)
        _end_all()


def _end_all() -> None:
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        return  # nothing is left


def _decide(job, verdict: int, calls: int, replies: int) -> None:
    def say(reason: str, detail: str) -> None:
        send(verdict, encode([reason, detail[:400]], VERDICT_LIMIT))

    random.seed(0)  # every test draws the same numbers in every run
    for name, value in ((resource.RLIMIT_CPU, job["cpu_seconds"]), (resource.RLIMIT_NPROC, _PROCESSES)):
        resource.setrlimit(name, (value, value))
    if fault := _fault(job["program"]):
        return say("syntax error", fault)
    say("go", "")
    remote = Remote(calls, replies, job["output"], job["seconds"], job["call_seconds"])
    try:
        say(*_judge(job, remote, say))
    except Broken as error:
        say("broken test", str(error))


def _fault(program: str) -> str | None:
    try:
        compile(program, "<candidate>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _judge(job, remote: Remote, say) -> list[str]:
    def candidate(*args, **kwargs):
        return remote.call(args, kwargs)

    check = _prepare(job, candidate)
    if not remote.wait(START_SECONDS):
        return ["not started", ""]
    say("running", "")
    failure: BaseException | None = None
    try:
        remote.load(job["program"], job["entry_point"])
        check(candidate)
    except Broken:
        raise
    except BaseException as error:
        failure = error
    if remote.verdict:
        return remote.verdict
    if not remote.answered:
        raise Broken(f"it never called the program ({failure!r})")
    return ["passed", ""] if failure is None else _blame(failure, remote)


def _blame(failure: BaseException, remote: Remote) -> list[str]:
    kind = type(failure).__name__
    try:
        message = str(failure)
    except ValueError:
        message = "a number too long to print"
    if failure is remote.raised:
        return ["limit" if kind == "MemoryError" else "raised", f"{kind}: {message}"]
    return ["wrong answer", message if kind == "AssertionError" else f"{kind} in the test: {message}"]


def _prepare(job, candidate):
    """The test's `check`, in a module that also holds what the prompt defines."""
    module = sys.modules["problem"] = type(sys)("problem")
    with contextlib.suppress(Exception):  # a prompt need not be whole; what it does define may help the test
        exec(compile(job["prompt"], "<prompt>", "exec", dont_inherit=True), module.__dict__)
    module.__dict__[job["entry_point"]] = candidate
    candidate.__name__ = candidate.__qualname__ = job["entry_point"]
    try:
        exec(compile(job["test"], "<test>", "exec", dont_inherit=True), module.__dict__)
        return module.__dict__["check"]
    except BaseException as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
