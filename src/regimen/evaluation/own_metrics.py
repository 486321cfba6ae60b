"""Runs a study's own metrics, once somebody has trusted them; what goes wrong in one is a fault of the item.

Owns the only place where code of a study is executed. It runs as it is, in the worker: no sandbox, no limit of time.
Which files and functions there are is `study.own_metrics`'.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from hashlib import sha256
from types import ModuleType
from typing import SupportsFloat

from regimen.errors import DataError, UsageError
from regimen.evaluation.readers import Answer, Reading
from regimen.evaluation.verdict_readers import FAULT, verdict_readers
from regimen.study.metrics import OWN, VERDICTS
from regimen.study.own_metrics import TRUST
from regimen.study.tasks import CodeFile, Task

Function = Callable[[str, list[str]], object]
_SHOWN = 160  # characters of a message that is not ours


def own_readers(task: Task, trusted: bool) -> dict[str, Callable[[Answer], Reading]]:
    """The reader of each of the task's own metrics, functions and verdicts; runs nothing where none is a function.

    Raises UsageError for code that is not trusted, DataError for a file that cannot be run.
    """
    readers = verdict_readers(task)
    if not task.code:
        return readers
    if not trusted:
        raise UsageError(f"the task {task.title!r} is scored by code of the study, which runs only with {TRUST}")
    modules = {file.module: _run(file) for file in task.code}
    for name in task.metrics:
        if (match := OWN.fullmatch(name)) and match["module"] != VERDICTS:
            module, function = match["module"], match["function"]
            chosen = getattr(modules[module], function, None)
            if not callable(chosen):
                raise DataError(f"{function} in {module}.py is no function once the file has run")
            readers[name] = _reader(name, chosen)
    return readers


def _run(file: CodeFile) -> ModuleType:
    """The module of a file, run once a process for each text it has had."""
    name = f"regimen_study_code_{sha256(file.text.encode()).hexdigest()}_{file.module}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    sys.modules[name] = module  # dataclasses look their own module up
    try:
        exec(compile(file.text, f"{file.module}.py", "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as fault:
        del sys.modules[name]
        raise DataError(f"{file.module}.py beside the study cannot be run ({_words(fault)}); put it right") from None
    return module


def _reader(name: str, function: Function) -> Callable[[Answer], Reading]:
    def read(answer: Answer) -> Reading:
        value, fault = _measure(name, function, answer.extracted, list(answer.rights))
        return Reading(value, answer.extracted.strip(), fault=fault)

    return read


def _measure(name: str, function: Function, prediction: str, answers: list[str]) -> tuple[float, str]:
    """The function's value, or nan and why there is none."""
    try:
        given = function(prediction, answers)
        value = float(given) if isinstance(given, SupportsFloat) else math.nan
    except (Exception, SystemExit) as fault:
        return math.nan, f"{FAULT}{name} raised {_words(fault)}"
    if not math.isfinite(value):
        return math.nan, f"{FAULT}{name} returned {_short(repr(given))}, not a finite number"
    return value, ""


def _words(fault: BaseException) -> str:
    return _short(f"{type(fault).__name__}: {fault}".strip().removesuffix(":"))


def _short(text: str) -> str:
    line = " ".join(text.split()).replace("; ", ", ")  # which parts the reasons of an item
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def without_faults(detail: str) -> str:
    """An item's row without the faults of its own metrics."""
    return "; ".join(part for part in detail.split("; ") if part and not part.startswith(FAULT))


def fault_counts(metrics: Mapping[str, list[float]], ids: list[str], details: list[str]) -> dict[str, str]:
    """For each of the study's own metrics that lacks values: on how many items, and the first with its reason."""
    faults = {}
    for name, values in metrics.items():
        if OWN.fullmatch(name) is None:
            continue
        bad = [place for place, value in enumerate(values) if not math.isfinite(value)]
        if bad:
            why = next((part for part in details[bad[0]].split("; ") if part.startswith(f"{FAULT}{name} ")), "")
            faults[name] = f"{len(bad)} of {len(values)} items have no value (first: {ids[bad[0]]}: {why})"
    return faults
