"""Tests whether this machine isolates: a harmless program looks around in a real sandbox.

Owns the choice between the ways: the first that starts and whose walls the program inside finds in place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import ExitStack
from functools import cache

from regimen.evaluation.sandbox import launch, syscalls, ways
from regimen.evaluation.sandbox.inside.channel import receive, send
from regimen.evaluation.sandbox.inside.codec import Malformed, decode, encode
from regimen.evaluation.sandbox.terms import Limits
from regimen.evaluation.sandbox.ways import Way

_REMEDY = "install bubblewrap and allow user namespaces, or use a machine that does"
_SECONDS = 20.0
_FRAME = 1 << 16

# Names what is not as promised; runs inside, with nothing but the standard library.
_LOOK = """
import os, socket

def look(outside):
    faults = [f"shows {path}" for path in outside if os.path.exists(path)]
    if os.getpid() != 1:
        faults.append("shares its processes")
    if 0 in (*os.getresuid(), *os.getresgid()):
        faults.append("runs as root")
    if not os.statvfs("/").f_flag & os.ST_RDONLY:
        faults.append("has a root that can be written")
    try:
        socket.socket(socket.AF_INET)
        faults.append("has no system call filter")
    except PermissionError:
        pass
    if os.path.exists("/proc/self"):
        interfaces = [line.split(":")[0].strip() for line in open("/proc/self/net/dev") if ":" in line]
        if interfaces != ["lo"]:
            faults.append("sees the network")
        status = dict(map(str.strip, line.split(":", 1)) for line in open("/proc/self/status"))
        if any(int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")):
            faults.append("keeps capabilities")
        if status["NoNewPrivs"] != "1":
            faults.append("can gain privileges")
    return faults
"""


def first_working() -> tuple[Way | None, str | None]:
    """The way that this machine isolates by, or one sentence why it does not; remembered for each PATH's programs."""
    return _first_working(*(shutil.which(name) for name in ways.PROGRAMS))


@cache
def _first_working(*programs: str | None) -> tuple[Way | None, str | None]:
    if syscalls.of_this_machine() is None:
        machine = os.uname().machine
        return (
            None,
            f"Generated programs are isolated on x86_64 and aarch64, and this is {machine}; use one of those.",
        )
    faults = []
    for candidate in ways.installed():
        fault = try_out(candidate)
        if fault is None:
            return candidate, None
        faults.append(f"{candidate.name} {fault}")
    reasons = "; ".join(faults) or "neither bubblewrap (bwrap) nor util-linux (unshare, setpriv) is on the PATH"
    return None, f"This machine cannot isolate generated programs: {reasons}; {_REMEDY}."


def try_out(candidate: Way) -> str | None:
    """Starts a sandbox and inspects it from within; returns the reason why this way does not isolate, or None."""
    limits = Limits()
    with ExitStack() as stack:
        launcher = stack.enter_context(launch.Launcher(candidate, launch.candidate(limits), limits.disk))
        complaints = stack.enter_context(tempfile.TemporaryFile())
        canary = stack.enter_context(tempfile.NamedTemporaryFile())
        (calls, asking), (answers, replies) = os.pipe(), os.pipe()
        stack.callback(os.close, asking)
        stack.callback(os.close, answers)
        try:
            box = launcher.start([calls, replies], stderr=complaints)
        finally:
            os.close(calls)
            os.close(replies)
        stack.callback(box.end)
        try:
            faults = _inspect(asking, answers, [__file__, canary.name, "/etc/passwd"])
        except (EOFError, TimeoutError, BrokenPipeError, Malformed):
            complaints.seek(0)
            lines = complaints.read(_FRAME).decode(errors="replace").strip().splitlines()
            return f"does not start ({lines[-1] if lines else 'without a word'})"
    return None if faults == [] else f"leaks: what runs inside {faults}"


def _inspect(asking: int, answers: int, outside: list[str]) -> object:
    deadline = time.monotonic() + _SECONDS
    os.set_blocking(asking, False)
    receive(answers, _FRAME, deadline)
    for message in ([b"", "load", _LOOK, "look"], [b"", "call", (outside,), {}]):
        send(asking, encode(message, _FRAME), deadline)
        reply = decode(receive(answers, _FRAME, deadline))
    match reply:
        case [b"", "returned", faults, *_]:
            return faults
    return reply
