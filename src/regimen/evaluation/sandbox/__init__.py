"""Judges generated programs by a data set's tests, in sandboxes that nothing outlives.

Each program runs in a fresh process with its own user, mount, pid, network, ipc, uts and cgroup namespaces; the
test runs in another one and reaches it through a channel that carries plain values only. A machine that cannot
isolate runs no program at all. Owns nothing of tasks, prompts or scores.
Background: docs/decisions/code-sandbox.md.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from regimen.errors import MachineError
from regimen.evaluation.sandbox.terms import REASONS, Case, Limits, Verdict

if TYPE_CHECKING:
    from regimen.evaluation.sandbox.ways import Way

__all__ = ["REASONS", "Case", "Limits", "Verdict", "judge", "judge_many", "why_not"]


def why_not() -> str | None:
    """None if this machine isolates generated programs; else one sentence with the reason.

    It tries once for each set of installed programs, in about a tenth of a second.
    """
    if sys.platform != "linux":
        return f"Generated programs are isolated by Linux namespaces, and this is {sys.platform}; use a Linux machine."
    from regimen.evaluation.sandbox.probe import first_working  # its modules do not load on other systems

    return first_working()[1]


def judge(program: str, entry_point: str, test: str, prompt: str = "", limits: Limits = Limits()) -> Verdict:
    """Run `program` against `test` and give the verdict; see Case for the arguments.

    Raises MachineError where `why_not()` has a reason, DataError if the test itself is broken.
    """
    return judge_many([Case(program, entry_point, test, prompt)], limits)[0]


def judge_many(cases: Sequence[Case], limits: Limits = Limits(), parallel: int = 1) -> list[Verdict]:
    """The verdicts on `cases`, in their order; equal cases are judged once.

    `parallel` programs run at a time, each with its test beside it. Raises what `judge` raises, at the first
    such case.
    """
    way = _way()
    waiting: SimpleQueue[Case] = SimpleQueue()
    for case in dict.fromkeys(cases):
        waiting.put(case)
    verdicts: dict[Case, Verdict] = {}
    stop = threading.Event()
    # Threads, each waiting for its own processes; a process asks to die with the thread that started it.
    with ThreadPoolExecutor(parallel) as pool:
        try:
            for future in [pool.submit(_work, way, limits, waiting, verdicts, stop) for _ in range(parallel)]:
                future.result()
        finally:
            stop.set()
    return [verdicts[case] for case in cases]


def _way() -> Way:
    if reason := why_not():
        raise MachineError(reason)
    from regimen.evaluation.sandbox.probe import first_working

    way = first_working()[0]
    assert way is not None
    return way


def _work(
    way: Way, limits: Limits, waiting: SimpleQueue[Case], verdicts: dict[Case, Verdict], stop: threading.Event
) -> None:
    from regimen.evaluation.sandbox.referee import Referee

    with Referee(way, limits) as referee:
        while not stop.is_set():
            try:
                case = waiting.get_nowait()
            except Empty:
                return
            try:
                verdicts[case] = referee.judge(case)
            except BaseException:
                stop.set()
                raise
