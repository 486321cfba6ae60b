"""A worker process: reads jobs as JSON lines from its standard input and writes reports as JSON lines to its output.

Owns the life of the process, which ends with its driver, and turns exceptions into events. Does not know
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
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from regimen.errors import Interrupted, OutOfMemory, RegimenError
from regimen.files import why_unwritable
from regimen.results import StageFolder
from regimen.stages.messages import Event, Job, JobEnd, Message
from regimen.stages.options import WorkerSetup

if TYPE_CHECKING:
    from regimen.stages.context import Context

GRACE_SECONDS = 5.0
END_SECONDS = 20.0  # machines that go down send SIGTERM, and often SIGKILL 30 s later
ASKED_TO_END = 128 + signal.SIGTERM  # the exit code of a worker that the machine asked to end
DEVICE_BROKEN = 70  # the exit code of a worker whose device takes no more work in this process
STOP = "stop"  # the line that asks for the job under way to save its state and end
_BROKEN = ("CUDA error", "CUDA driver error", "CUBLAS_STATUS", "cuDNN error", "NCCL error", "HIP error")
_BROKEN += ("Triton Error [CUDA]", "Triton Error [HIP]")
_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


class _Driver:
    """The other end: reads jobs in a thread, writes messages under a lock."""

    def __init__(self, out: TextIO):
        self._out = out
        self._lock = threading.Lock()
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.stop = threading.Event()
        self.asked_to_end = False
        self.job: str | None = None
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            if line.strip() == STOP:
                self.stop.set()
            else:
                self.lines.put(line)
        self.stop.set()
        self.lines.put(None)
        _exit_after(GRACE_SECONDS, 0)

    def end(self) -> None:
        """Handles SIGTERM: the current job saves its state, and no other begins."""
        self.asked_to_end = True
        self.stop.set()
        self.lines.put(None)
        _exit_after(END_SECONDS, ASKED_TO_END)

    def send(self, message: Message) -> None:
        """Writes one message."""
        with self._lock:
            try:
                self._out.write(message.to_line() + "\n")
                self._out.flush()
            except BrokenPipeError:
                self.stop.set()  # nobody listens any more


def _exit_after(seconds: float, code: int) -> None:
    """Ends this process after some seconds even in the middle of a job; files on disk are whole."""
    last = threading.Timer(seconds, os._exit, (code,))
    last.daemon = True
    last.start()


def main() -> None:
    """Runs jobs until the driver closes the input; then the current job has a few seconds to save its state."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print goes to the log, never between messages
    faulthandler.enable()
    warnings.filterwarnings("ignore", category=FutureWarning)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    driver = _Driver(out)
    signal.signal(signal.SIGTERM, lambda number, frame: driver.end())
    setup = driver.lines.get()
    if setup is None:
        return
    context = _context(WorkerSetup.from_json(json.loads(setup)), driver.stop)
    context.watch(lambda sentence: _hangs(sentence, driver))
    while (line := driver.lines.get()) is not None:
        job = Job.from_line(line)
        driver.job = job.id
        end = run_one(job, context, driver.send)
        driver.job = None
        if end.how == "died":
            os._exit(DEVICE_BROKEN)  # at once: the libraries' own clearing up may hang on a broken device
    if driver.asked_to_end:
        sys.exit(ASKED_TO_END)


def _hangs(sentence: str, driver: _Driver) -> None:
    """Ends this process while its main thread waits for the device without end."""
    faulthandler.dump_traceback(all_threads=True)
    if driver.job is not None:
        driver.send(Message(driver.job, JobEnd("died", f"{sentence}; its worker was ended")))
    os._exit(DEVICE_BROKEN)


def _context(setup: WorkerSetup, stop: threading.Event) -> Context:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    import torch

    from regimen.stages.context import Context

    if setup.threads:
        torch.set_num_threads(setup.threads)
        os.environ["RAYON_NUM_THREADS"] = str(setup.threads)
    return Context(setup, stopping=stop.is_set)


def run_one(job: Job, context: Context, send: Callable[[Message], None]) -> JobEnd:
    """Carries out one job, sends its messages, and returns the last one."""
    from regimen.stages.kinds import run_job

    def report(event: Event) -> None:
        send(Message(job.id, event))

    context.report = report
    try:
        run_job(job, context)
        end = JobEnd("done")
    except Interrupted:
        end = JobEnd("interrupted")
    except Exception as fault:
        end = end_of(fault)
        deliberate = isinstance(fault, RegimenError)
        _log_failure(job, context, str(fault) if deliberate else traceback.format_exc())
    if end.cause == "memory":
        context.release_memory()
    report(end)
    return end


def end_of(fault: Exception) -> JobEnd:
    """The end of a job that raised: its error in one sentence, and the kind of cause."""
    words = str(fault).strip() or type(fault).__name__
    first = words.splitlines()[0]
    if isinstance(fault, OutOfMemory):
        return JobEnd("failed", words, "memory")
    if any(_is_broken_device(cause) for cause in _causes(fault)):
        return JobEnd("died", f"the device failed ({_last_words(fault)}) and its worker was ended")
    if isinstance(fault, RegimenError):
        return JobEnd("failed", words, "input")
    if any(_is_out_of_memory(cause) for cause in _causes(fault)):
        return JobEnd("failed", "out of memory; use fewer --workers or a smaller --cohort-width", "memory")
    unwritable = why_unwritable(fault)
    if unwritable is not None:
        return JobEnd("failed", unwritable, "disk")
    return JobEnd("failed", f"{type(fault).__name__}: {first}", "chance" if isinstance(fault, OSError) else "input")


def _causes(fault: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised from or for: compilers and loaders wrap what a device says."""
    seen: set[int] = set()
    following: BaseException | None = fault
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__


def _last_words(fault: BaseException) -> str:
    """The first line of what the device itself said."""
    broken = next(cause for cause in _causes(fault) if _is_broken_device(cause))
    return str(broken).strip().splitlines()[0] if str(broken).strip() else type(broken).__name__


def _is_out_of_memory(fault: BaseException) -> bool:
    if isinstance(fault, MemoryError) or type(fault).__name__ == "OutOfMemoryError":  # torch's, on any device
        return True
    return isinstance(fault, RuntimeError) and any(words in str(fault) for words in _MEMORY)


def _is_broken_device(fault: BaseException) -> bool:
    """True if every later call to the device would fail in this process too, as after an illegal access."""
    if _is_out_of_memory(fault):
        return False
    if type(fault).__name__ == "AcceleratorError":  # torch's
        return True
    return isinstance(fault, RuntimeError) and any(words in str(fault) for words in _BROKEN)


def _log_failure(job: Job, context: Context, detail: str) -> None:
    for stage in job.stages:
        folder = StageFolder(context.setup.stages, stage)
        if folder.path.is_dir() and not folder.done:
            with suppress(OSError):  # on a full disk the message to the driver is all there is
                context.log(folder.path, "error", detail=detail)


def die_with_parent(parent: int | None = None) -> None:
    """Asks Linux to kill this process when its parent ends; give `parent` where the parent may be gone already."""
    if sys.platform != "linux":
        return
    parent = os.getppid() if parent is None else parent
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)
