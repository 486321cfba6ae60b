"""A case for the sandbox, its limits, and the verdict.

Owns the three plain records of the sandbox. Knows nothing of processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from regimen.errors import UsageError

Reason = Literal[
    "passed",
    "wrong answer",
    "raised",
    "timeout",
    "crashed",
    "syntax error",
    "no such function",
    "not plain data",
    "limit",
]
REASONS: frozenset[str] = frozenset(get_args(Reason))
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One generated program and the test that decides about it.

    `program` is the whole source, prompt and completion; `entry_point` the function it must define; `test`
    the data set's code, which defines `check(candidate)`; `prompt` the data set's beginning of the program,
    whose definitions the test may call. `origin` names the row in messages and changes no verdict.
    """

    program: str
    entry_point: str
    test: str
    prompt: str = ""
    origin: str = field(default="", compare=False)


@dataclass(frozen=True)
class Limits:
    """The limits of one program; times in seconds, sizes in bytes.

    `seconds` bounds loading and all calls together, `call_seconds` loading or one call, both by the wall
    clock. `memory` is the address space of one process, `processes` counts threads too, `file_size` bounds
    one file and `disk` all of them, `output` one returned value with the arguments it leaves behind.
    Raises UsageError for a limit that is not positive.
    """

    seconds: float = 5.0
    call_seconds: float = 3.0
    cpu_seconds: int = 5
    memory: int = 512 * MIB
    processes: int = 4
    files: int = 32
    file_size: int = 8 * MIB
    disk: int = 16 * MIB
    output: int = MIB

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if not value > 0:
                raise UsageError(f"The sandbox limit {limit.name} is {value}, and must be above 0.")


@dataclass(frozen=True)
class Verdict:
    """A program's verdict: passed or not, and the reason, one of REASONS with a short detail after a colon.

    Only a test that ran `check` to its end, having called the program at least once, yields `passed`.
    """

    passed: bool
    reason: str

    @property
    def kind(self) -> str:
        """The reason without its detail, one of REASONS."""
        return self.reason.partition(":")[0]


def verdict(reason: Reason, detail: str = "") -> Verdict:
    """A verdict whose detail is cut to 200 printable characters: it may quote a hostile program."""
    clean = "".join(sign if sign.isprintable() else "?" for sign in detail[:200])
    return Verdict(passed=reason == "passed", reason=f"{reason}: {clean}" if clean else reason)
