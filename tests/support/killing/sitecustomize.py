"""Kills a process at a named point, from inside: loaded by the interpreter where a test puts this folder on its path.

The file named by REGIMEN_TEST_KILLS holds the points still to be hit: each {"name", "event", "path", "beside",
"victim", "delay", "signal"}. At an audit event ("open", "os.rename", "os.link") whose path matches, before it
happens, the victim ("self", or the name of an ancestor: "driver", "raylet") gets the signal. Every point is hit once.
"""

import fnmatch
import json
import os
import signal
import sys
import threading
from pathlib import Path

PLAN = Path(os.environ.get("REGIMEN_TEST_KILLS", "/nonexistent"))
EVENTS = {"open": 0, "os.rename": 1, "os.link": 1}


def hit(event, arguments):
    if event in EVENTS and isinstance(arguments[EVENTS[event]], str | bytes | os.PathLike):
        path = os.fsdecode(arguments[EVENTS[event]])
        for point in POINTS:
            if point["event"] == event and fnmatch.fnmatch(path, point["path"]) and is_beside(path, point):
                fire(point)


def is_beside(path, point):
    return not point.get("beside") or os.path.exists(os.path.join(os.path.dirname(path), point["beside"]))


def fire(point):
    try:  # once over all processes and runs
        os.close(os.open(f"{PLAN}.{point['name']}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    pid = os.getpid() if point["victim"] == "self" else ancestor(point["victim"])
    if point.get("delay"):
        threading.Timer(point["delay"], os.kill, (pid, signal.SIGKILL)).start()
        return
    os.kill(pid, point.get("signal", signal.SIGKILL))
    while point["victim"] != "self":  # nothing more happens here: it was killed at this point
        signal.pause()


def ancestor(name):
    pid = os.getpid()
    while pid > 1:
        status = Path(f"/proc/{pid}/status").read_text()
        pid = int(status.split("PPid:")[1].split()[0])
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        if (name == "driver" and b"-m\0regimen\0run" in line) or (name == "raylet" and b"raylet/raylet" in line):
            return pid
    raise AssertionError(f"no ancestor {name}")


if PLAN.is_file() and ("regimen.execution.template" in sys.orig_argv or "regimen" in sys.orig_argv):
    POINTS = json.loads(PLAN.read_text())
    sys.addaudithook(hit)
