"""The two ways to isolate a process: bubblewrap, and util-linux's unshare with our own `inside.confine`.

Owns the command lines and what of this machine is visible behind them: one Python interpreter, its standard
library, the system's shared libraries, five harmless devices. Starts nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from regimen.evaluation.sandbox import syscalls
from regimen.evaluation.sandbox.inside import confine

PROGRAMS = ("bwrap", "setpriv", "unshare")
_LIBRARIES = ("/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32")
_LOADER_CACHE = "/etc/ld.so.cache"
_DEVICES = ("/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero")
_PACKAGES = ("site-packages", "dist-packages")
_DEBIAN_PACKAGES = "/usr/lib/python3/dist-packages"

_NOBODY = str(confine.NOBODY)
_BUBBLEWRAP = f"""
--unshare-user --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try --disable-userns
--uid {_NOBODY} --gid {_NOBODY} --cap-drop ALL --hostname sandbox --die-with-parent --new-session --as-pid-1
"""
_DEMOTION = f"--reuid {_NOBODY} --regid {_NOBODY} --clear-groups --inh-caps=-all --bounding-set=-all"
_UNSHARE = "--mount --pid --net --ipc --uts --cgroup --fork --kill-child"


@dataclass(frozen=True)
class Interpreter:
    """A Python: its program file and the folders that its standard library and shared object lie in."""

    program: str
    folders: tuple[str, ...]

    @classmethod
    def running(cls) -> Interpreter:
        """The one that runs this, without its virtual environment."""
        program = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
        folders = [
            sysconfig.get_path("stdlib"),
            sysconfig.get_path("platstdlib", vars={"platbase": sys.base_prefix}),
        ]
        if sysconfig.get_config_var("Py_ENABLE_SHARED"):
            folders.append(sysconfig.get_config_var("LIBDIR"))
        return cls(program, tuple(dict.fromkeys(folder for folder in folders if Path(folder).is_dir())))

    @cached_property
    def layout(self) -> dict[str, list]:
        """The files that a sandbox shows: `visible` paths, `links` (path, target), `hidden` folders, `devices`."""
        libraries = [path for path in _LIBRARIES if os.path.exists(path)]
        links = [(path, os.readlink(path)) for path in libraries if os.path.islink(path)]
        roots = [path for path in libraries if not os.path.islink(path)]
        candidates = sorted({*roots, *self.folders, self.program, _LOADER_CACHE})
        visible: list[str] = []
        for path in candidates:
            if os.path.exists(path) and not any(Path(path).is_relative_to(shown) for shown in visible):
                visible.append(path)
        packages = [os.path.join(folder, name) for folder in self.folders for name in _PACKAGES]
        hidden = [path for path in (*packages, _DEBIAN_PACKAGES) if os.path.isdir(path)]
        devices = [path for path in _DEVICES if os.path.exists(path)]
        return {"visible": visible, "links": links, "hidden": hidden, "devices": devices}


@dataclass(frozen=True)
class Bubblewrap:
    """bubblewrap as an ordinary user; run by root, as nobody, since its user would else be root outside."""

    program: str
    setpriv: str | None
    interpreter: Interpreter
    calls: syscalls.Calls
    name = "bubblewrap"
    reads_filter = True

    def prefix(self, disk: int, filter_fd: int) -> list[str]:
        """The command line up to the interpreter's; `disk` bytes of /tmp, the filter read from `filter_fd`."""
        command = [self.program, *_BUBBLEWRAP.split(), "--seccomp", str(filter_fd)]
        layout = self.interpreter.layout
        for path in layout["visible"]:
            command += ["--ro-bind", path, path]
        for path, target in layout["links"]:
            command += ["--symlink", target, path]
        for path in layout["hidden"]:
            command += ["--tmpfs", path, "--remount-ro", path]
        for path in layout["devices"]:
            command += ["--dev-bind", path, path]
        command += ["--proc", "/proc", "--remount-ro", "/proc", "--size", str(disk), "--tmpfs", "/tmp"]
        demotion = [self.setpriv or "setpriv", *_DEMOTION.split()] if os.geteuid() == 0 else []
        return [*demotion, *command, "--remount-ro", "/", "--chdir", "/tmp", "--"]

    def steps(self, disk: int) -> list[tuple]:
        """The steps that the process must still take itself: none."""
        return []


@dataclass(frozen=True)
class Unshare:
    """util-linux's unshare and setpriv make the namespaces, `inside.confine` does the rest."""

    program: str
    setpriv: str
    interpreter: Interpreter
    calls: syscalls.Calls
    name = "unshare"
    reads_filter = False

    def prefix(self, disk: int, filter_fd: int) -> list[str]:
        """The command line up to the interpreter's; both arguments are `steps`' business here."""
        # Root makes its user namespace later, as nobody: the mounts need root's own rights to the sources.
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        return [self.setpriv, "--pdeathsig", "KILL", self.program, *user, *_UNSHARE.split(), "--"]

    def steps(self, disk: int) -> list[tuple]:
        """The steps that the process must still take itself: module, function, arguments."""
        arguments = {
            "layout": self.interpreter.layout,
            "disk": disk,
            "demote": os.geteuid() == 0,
            "pivot_root": self.calls.pivot_root,
            "syscall_filter": self.calls.filter,
        }
        return [(confine.__name__, "enter", arguments)]


Way = Bubblewrap | Unshare


def installed(interpreter: Interpreter | None = None) -> Iterator[Way]:
    """The ways whose programs are on the PATH, the preferred one first; whether they work is not asked."""
    calls = syscalls.of_this_machine()
    if calls is None:
        return
    interpreter = interpreter or Interpreter.running()
    bwrap, setpriv, unshare = (shutil.which(name) for name in PROGRAMS)
    if bwrap and (setpriv or os.geteuid() != 0):
        yield Bubblewrap(bwrap, setpriv, interpreter, calls)
    if unshare and setpriv:
        yield Unshare(unshare, setpriv, interpreter, calls)
