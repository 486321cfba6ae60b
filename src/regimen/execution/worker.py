"""A worker process: takes jobs as JSON lines on its standard input, reports events as JSON lines on its output.

Owns the process's life - it ends when its driver does - and the turning of exceptions into events. Does not know
order, retries or other workers.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from regimen.errors import Interrupted, RegimenError
from regimen.files import why_unwritable

GRACE_SECONDS = 5.0
END_SECONDS = 20.0  # machines that go down send SIGTERM, and often SIGKILL 30 s later
TOLD_TO_END = 128 + signal.SIGTERM  # the exit code of a worker that did as it was told


class _Driver:
    """The other end: reads jobs in a thread, writes events under a lock."""

    def __init__(self, out: TextIO):
        self._out = out
        self._lock = threading.Lock()
        self.jobs: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.stop = threading.Event()
        self.told_to_end = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if message.get("stop"):
                self.stop.set()
            else:
                self.jobs.put(message)
        self.stop.set()
        self.jobs.put(None)
        _exit_after(GRACE_SECONDS, 0)

    def end(self) -> None:
        """Asked by the machine to end (SIGTERM): the job under way saves its state, no other is begun."""
        self.told_to_end = True
        self.stop.set()
        self.jobs.put(None)
        _exit_after(END_SECONDS, TOLD_TO_END)

    def send(self, event: dict[str, Any]) -> None:
        with self._lock:
            try:
                self._out.write(json.dumps(event) + "\n")
                self._out.flush()
            except BrokenPipeError:
                self.stop.set()  # nobody listens any more


def _exit_after(seconds: float, code: int) -> None:
    """Whatever is under way: what is on disk is safe."""
    last = threading.Timer(seconds, os._exit, (code,))
    last.daemon = True
    last.start()


def main() -> None:
    """Runs jobs until the driver closes the input; a job under way has a few seconds to save its state."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the log, never between events
    faulthandler.enable()
    warnings.filterwarnings("ignore", category=FutureWarning)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    driver = _Driver(out)
    signal.signal(signal.SIGTERM, lambda number, frame: driver.end())
    hello = driver.jobs.get()
    if hello is None:
        return
    context = _context(hello["place"], driver)
    driver.send({"event": "ready", "pid": os.getpid()})
    while (job := driver.jobs.get()) is not None:
        driver.send(run_one(job, context) | {"job": job["name"]})
    if driver.told_to_end:
        sys.exit(TOLD_TO_END)


def _context(place: dict[str, Any], driver: _Driver) -> Any:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    import torch

    from regimen.stages.context import Context
    from regimen.stages.place import Place

    where = Place(**place)
    if where.threads:
        torch.set_num_threads(where.threads)
        os.environ["RAYON_NUM_THREADS"] = str(where.threads)
    return Context(where, driver.send, driver.stop.is_set)


def run_one(job: dict[str, Any], context: Any) -> dict[str, Any]:
    """Carries out one job; returns its last event: done, interrupted, or error (with whether a retry may help)."""
    from regimen.stages.kinds import run_job

    report = context.report
    context.report = lambda event: report(event | {"job": job["name"]})
    try:
        run_job(job["job"], context)
    except Interrupted:
        return {"event": "interrupted"}
    except RegimenError as fault:
        _log_failure(job, context, str(fault))
        return {"event": "error", "error": str(fault), "retry": False}
    except Exception as fault:
        _log_failure(job, context, traceback.format_exc())
        if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryError":
            text = "out of memory; use fewer --workers or a smaller --cohort-width"
            return {"event": "error", "error": text, "retry": True, "memory": True}
        unwritable = why_unwritable(fault)
        if unwritable is not None:
            return {"event": "error", "error": unwritable, "retry": False, "halt": True}
        text = f"{type(fault).__name__}: {str(fault).splitlines()[0] if str(fault) else ''}"
        return {"event": "error", "error": text, "retry": isinstance(fault, OSError)}
    finally:
        context.report = report
    return {"event": "done"}


def _log_failure(job: dict[str, Any], context: Any, detail: str) -> None:
    for name in job["job"]["names"].values():
        folder = Path(context.place.stages) / name
        if folder.is_dir() and not (folder / "DONE").is_file():
            with suppress(OSError):  # on a full disk the driver's word must do
                context.log(folder, "error", detail=detail)


def die_with_parent(parent: int | None = None) -> None:
    """Asks Linux to kill this process when its parent (`parent`, where that may be gone already) ends, however."""
    if sys.platform != "linux":
        return
    parent = os.getppid() if parent is None else parent
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)
