"""Trackers as optional sinks: an observer passes losses and scores to a process that writes to them.

Owns that process's life and the sentences about its failures. A tracker that is missing, raises or hangs costs the
run nothing. Does not know the trackers' libraries (`tracker_sink` does), and imports nothing heavy.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from regimen.errors import UsageError
from regimen.execution.events import Note, Observer, RunEvent, StageChanged
from regimen.execution.tracker_messages import Begin, Losses, Scores, TrackerMessage
from regimen.plan import EvaluateSpec, Plan, TrainSpec
from regimen.results import EvaluatedFacts, Outcome, RunFolder, layout

TRACKERS = ("tensorboard", "wandb", "mlflow", "trackio")
FINISH_SECONDS = 60.0  # a short run ends before the trackers' libraries are imported
INTERRUPTED_SECONDS = 3.0


def check_trackers(names: Sequence[str]) -> None:
    """Raises UsageError for an unknown name."""
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"--tracker is {name!r}; it must be one of {', '.join(TRACKERS)}")


@contextmanager
def tracked(
    names: Sequence[str], plan: Plan, folder: RunFolder, observe: Observer, stopping: Callable[[], bool]
) -> Iterator[Observer]:
    """`observe`, with trackers in front of it that get losses and scores as stages end in this run."""
    if not names:
        yield observe
        return
    tracking = _Tracking(names, plan, folder, observe)
    limit = INTERRUPTED_SECONDS
    try:
        yield tracking
        limit = INTERRUPTED_SECONDS if stopping() else FINISH_SECONDS
    finally:
        tracking.close(limit)


class _Tracking:
    """An observer in front of another; its threads talk to the sink, so that it never waits."""

    def __init__(self, names: Sequence[str], plan: Plan, folder: RunFolder, observe: Observer):
        self._plan, self._folder, self._observe = plan, folder, observe
        self._names = list(dict.fromkeys(names))
        self._outbox: queue.Queue[TrackerMessage | None] = queue.Queue()
        self._inbox: queue.Queue[str] = queue.Queue()
        logs = folder.path / layout.LOGS
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / "trackers.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "regimen.execution.tracker_sink"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the driver's to handle
                env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
                text=True,
            )
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._read)]
        for thread in self._threads:
            thread.start()
        where = str((folder.path / layout.TRACKERS).resolve())
        self._outbox.put(Begin(tuple(self._names), plan.study.study, where))

    def __call__(self, event: RunEvent) -> None:
        self._observe(event)
        if isinstance(event, StageChanged) and event.outcome is not None:
            message = self._message(event.stage, event.outcome)
            if message is not None:
                self._outbox.put(message)
        self._pass_on_errors()

    def _message(self, name: str, outcome: Outcome) -> TrackerMessage | None:
        spec = self._plan.stages[name]
        if isinstance(spec, TrainSpec):
            path = self._folder.folder(spec).path / layout.METRICS
            return Losses(f"{spec.label}-{name}", str(path.resolve()))
        if isinstance(outcome.facts, EvaluatedFacts) and outcome.facts.metrics and isinstance(spec, EvaluateSpec):
            trained = self._plan.stages[spec.trained] if spec.trained else None
            step = trained.last_step if isinstance(trained, TrainSpec) else 0
            return Scores(f"{spec.label}-{name}", outcome.facts.metrics, step)
        return None

    def _write(self) -> None:
        assert self._process.stdin is not None
        try:
            while (message := self._outbox.get()) is not None:
                self._process.stdin.write(message.to_line() + "\n")
                self._process.stdin.flush()
            self._process.stdin.close()
        except OSError:
            return  # the sink is gone; `close` says so

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._inbox.put(json.loads(line)["error"])

    def _pass_on_errors(self) -> None:
        """Passes on the sink's errors; the sink drops a tracker after its first one."""
        while not self._inbox.empty():
            self._observe(Note(self._inbox.get()))

    def close(self, seconds: float) -> None:
        """Gives the trackers some seconds to write the rest, and ends their process."""
        self._outbox.put(None)
        names = ", ".join(self._names)
        log = self._folder.path / layout.LOGS / "trackers.log"
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._inbox.put(f"trackers ({names}) were not done after {seconds:.0f} s and were ended; see {log}")
        else:
            if code:
                self._inbox.put(f"trackers ({names}) ended with exit code {code}; see {log}")
        for thread in self._threads:
            thread.join(1.0)
        for pipe in (self._process.stdin, self._process.stdout):
            _close(pipe)
        self._pass_on_errors()


def _close(pipe: IO[str] | None) -> None:
    if pipe is not None:
        with suppress(OSError):
            pipe.close()
