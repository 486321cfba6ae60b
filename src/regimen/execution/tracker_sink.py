"""The process that writes to trackers, through accelerate's: reads JSON lines, answers only with errors.

Owns the names and steps of logged values. The only home of accelerate, whose import (torch's) takes seconds. A tracker
that raises is dropped with one sentence; the others go on.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from regimen.execution.tracker_messages import Begin, Losses, Scores, TrackerMessage, message_of
from regimen.execution.worker import die_with_parent

Trackers = dict[str, Any]  # accelerate's trackers by name
OWN_STEPS = ("wandb", "trackio")  # their step counts calls; ours is a value among the others


def main() -> None:
    """Runs until its input ends."""
    die_with_parent()
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)  # a tracker that asks for a login finds nobody
    os.dup2(2, 1)  # what trackers print goes to the log
    carry(lines, out)


def carry(lines: Iterable[str], out: TextIO) -> None:
    """Carries messages to trackers; the first line names them."""
    messages = (message_of(line) for line in lines)
    first = next(messages, None)
    if not isinstance(first, Begin):
        return
    trackers: Trackers = {}
    for name in first.trackers:
        _guarded(out, name, trackers, lambda name=name: trackers.update({name: begin(name, first)}))
    for message in messages:
        for values, step in _values(message):
            for name, tracker in list(trackers.items()):
                _guarded(out, name, trackers, lambda n=name, t=tracker, v=values, s=step: _log(n, t, v, s))
    for name, tracker in list(trackers.items()):
        _guarded(out, name, trackers, tracker.finish)


def begin(name: str, about: Begin) -> Any:
    """A started tracker whose own files lie in the run folder; raises RuntimeError where its package is missing."""
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    if name not in [str(kind) for kind in get_available_trackers()]:
        raise RuntimeError(f"the package {name} is not installed")
    PartialState(cpu=True)
    kind = LOGGER_TYPE_TO_CLASS[name]
    folder = Path(about.folder)
    if kind.requires_logging_directory:
        tracker = kind(about.project, folder)
    elif name == "mlflow":
        tracker = kind(about.project, folder.as_uri())
    else:
        tracker = kind(about.project)
    tracker.start()
    if name == "wandb":
        tracker.tracker.define_metric("*", step_metric="step")
    return tracker


def _log(name: str, tracker: Any, values: Mapping[str, float], step: int) -> None:
    if name in OWN_STEPS:
        tracker.log({**values, "step": step})
    else:
        tracker.log(dict(values), step=step)


def _values(message: TrackerMessage) -> Iterator[tuple[dict[str, float], int]]:
    """The values to log and their step: each step's loss of a training, or an evaluation's scores."""
    match message:
        case Losses(series, path):
            for line in Path(path).read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                yield {f"loss/{series}": row["loss"]}, row["step"]
                if looked := row.get("validation"):
                    values = {"loss": looked["loss"], **looked["scores"]}
                    found = {name: value for name, value in values.items() if value is not None}
                    yield {f"validation/{name}/{series}": value for name, value in found.items()}, row["step"]
        case Scores(series, scores, step):
            finite = {name: value for name, value in scores.items() if value is not None and math.isfinite(value)}
            if finite:
                yield {f"{name}/{series}": value for name, value in finite.items()}, step


def _guarded(out: TextIO, name: str, trackers: Trackers, work: Callable[[], object]) -> None:
    """Calls `work`; whatever it raises drops the tracker and sends one sentence."""
    try:
        work()
    except BaseException as fault:  # a login that fails may exit
        trackers.pop(name, None)
        first = (str(fault).strip() or type(fault).__name__).splitlines()[0][:200]
        out.write(json.dumps({"error": f"tracker {name} is left out: {first}; the run goes on without it"}) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
