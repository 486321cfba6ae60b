"""Starts one sandboxed interpreter and ends it, with everything that it started.

Owns the child process and the code handed to it. Knows nothing of what that code does.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import resource
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO

from regimen.evaluation.sandbox import inside
from regimen.evaluation.sandbox.inside import limits as inside_limits
from regimen.evaluation.sandbox.terms import Limits
from regimen.evaluation.sandbox.ways import Way

# One variable, so that sets of strings have the same order in every run; the sandboxed side removes it.
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
# Nothing of the user's or of the working directory is imported; `-I` would drop the variable above.
_PYTHON = ("-S", "-s", "-P", "-B", "-X", "utf8", "-c")
_BOOT = """
import marshal, os, sys
boot, *descriptors = map(int, sys.argv[1:])
plan = marshal.loads(os.pread(boot, 1 << 22, 0))
os.close(boot)
for name, code in plan["modules"]:
    module = sys.modules[name] = type(sys)(name)
    exec(code, module.__dict__)
for name, function, arguments in plan["steps"]:
    getattr(sys.modules[name], function)(**arguments)
name, function, arguments = plan["last"]
getattr(sys.modules[name], function)(*descriptors, **arguments)
"""
_END_SECONDS = 10.0


@dataclass(frozen=True)
class Role:
    """The code that runs in a sandbox: the modules of `inside` in order, and the last function to call."""

    modules: tuple[str, ...]
    arguments: dict[str, object]
    ceilings: dict[str, int]

    @property
    def main(self) -> str:
        return f"{inside.__name__}.{self.modules[-1]}"


def candidate(limits: Limits) -> Role:
    """A generated program."""
    return Role(
        modules=("codec", "channel", "candidate"),
        arguments={"limit": limits.output},
        ceilings={
            "RLIMIT_AS": limits.memory,
            "RLIMIT_CPU": limits.cpu_seconds,
            "RLIMIT_NPROC": limits.processes,
            "RLIMIT_NOFILE": limits.files,
            "RLIMIT_FSIZE": limits.file_size,
        },
    )


def tester(limits: Limits) -> Role:
    """The data set's tests; what one test may take of processor and processes is bounded where it forks."""
    return Role(
        modules=("codec", "channel", "remote", "tester"),
        arguments={},
        ceilings={
            "RLIMIT_AS": 2 * limits.memory,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_FSIZE": limits.file_size,
        },
    )


class Launcher:
    """Starts any number of sandboxes of one way and one role; a context manager."""

    def __init__(self, way: Way, role: Role, disk: int):
        self._way, self._disk = way, disk
        confining = [name.rpartition(".")[2] for name, _, _ in way.steps(disk)]
        ceilings = (
            inside_limits.__name__,
            "lower",
            {"ceilings": _reachable(role.ceilings), "folder": "/tmp"},
        )
        plan = {
            "modules": [_code(name) for name in (*confining, "limits", *role.modules)],
            "steps": [*way.steps(disk), ceilings],
            "last": (role.main, "serve", role.arguments),
        }
        self._boot = _sealed(marshal.dumps(plan))

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._boot)

    def start(self, descriptors: Sequence[int], stderr: int | IO | None = subprocess.DEVNULL) -> Box:
        """A sandbox that holds `descriptors` and nothing else of this process."""
        numbers = [str(number) for number in (self._boot, *descriptors)]
        python = [self._way.interpreter.program, *_PYTHON, _BOOT, *numbers]
        syscall_filter = _sealed(self._way.calls.filter)
        try:
            process = subprocess.Popen(
                [*self._way.prefix(self._disk, syscall_filter), *python],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd="/",
                env=_ENVIRONMENT,
                pass_fds=(self._boot, *descriptors, *([syscall_filter] if self._way.reads_filter else [])),
                start_new_session=True,
            )
        finally:
            os.close(syscall_filter)
        return Box(process)


class Box:
    """A running sandbox, or what is left of it."""

    def __init__(self, process: subprocess.Popen):
        self._process = process

    @property
    def alive(self) -> bool:
        """True while its first process runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kills all that runs in it and returns when all of it is gone.

        The kernel ends a pid namespace before its first process is gone, and our child waits for that process: so
        that one is killed, and our child only where it has none, or does not go.
        """
        children = self._children()
        for first in children:
            self._kill(first)
        if not children:
            self._process.kill()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _children(self) -> list[int]:
        pid = self._process.pid
        try:
            return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def _kill(self, pid: int) -> None:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            if pid in self._children():  # still the process that was meant
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)


@cache
def _code(name: str) -> tuple[str, object]:
    """A module of `inside`, compiled; its full name, and no path of this machine, goes with it."""
    full_name = f"{inside.__name__}.{name}"
    source = files(inside).joinpath(f"{name}.py").read_text(encoding="utf-8")
    return full_name, compile(source, f"<{full_name}>", "exec", dont_inherit=True)


def _reachable(ceilings: dict[str, int]) -> dict[str, int]:
    """No limit above the one this process is already under: raising it would be refused."""
    reachable = {}
    for name, value in ceilings.items():
        hard = resource.getrlimit(getattr(resource, name))[1]
        reachable[name] = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return reachable


def _sealed(content: bytes) -> int:
    """A descriptor of an unnamed file that nobody can change any more."""
    file = os.memfd_create("sandbox", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file
