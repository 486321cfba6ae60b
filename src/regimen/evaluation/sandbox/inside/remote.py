"""The test's end of the channel: a generated function that can be called although it runs elsewhere.

Arguments go by value; what the function did to lists, dicts and sets among them is carried out here
afterwards. The first thing that cannot be answered for ends the case (`Over`), whatever the test makes of
the exception: `verdict` keeps it. Knows nothing of tests.
"""

from __future__ import annotations

import builtins
import os
import time
from typing import NoReturn

from regimen.evaluation.sandbox.inside.channel import receive, send
from regimen.evaluation.sandbox.inside.codec import Malformed, NotPlain, TooLarge, decode, encode

ASKED_LIMIT = 1 << 23


class Over(BaseException):
    """The case is decided; not an Exception, so that few tests catch it by accident."""


class Broken(Exception):
    """The test itself is at fault, before the program had any say."""


class Remote:
    """A program in its own sandbox, spoken to over two pipes that do not block.

    `seconds` bounds everything after `load`, `call_seconds` each exchange, `limit` the bytes of a reply.
    """

    def __init__(self, calls: int, replies: int, limit: int, seconds: float, call_seconds: float):
        self._calls, self._replies, self._limit = calls, replies, limit
        self._seconds, self._call_seconds = seconds, call_seconds
        self._deadline = 0.0
        self.verdict: list[str] | None = None
        self.answered = 0
        self.raised: BaseException | None = None

    def wait(self, seconds: float) -> bool:
        """True once the program's process has come up."""
        try:
            return decode(receive(self._replies, self._limit, time.monotonic() + seconds)) == "ready"
        except (EOFError, TimeoutError):
            return False

    def load(self, program: str, entry_point: str) -> None:
        """Runs the program's top level; raises Over unless it defines the function."""
        self._deadline = time.monotonic() + self._seconds
        match self._exchange("load", program, entry_point):
            case ["loaded"]:
                return
            case ["absent"]:
                self._end("no such function", entry_point)
            case ["raised", [str(name), *_], str(message), _, _]:
                reason = "syntax error" if name in ("SyntaxError", "IndentationError") else "raised"
                self._end("limit" if name == "MemoryError" else reason, f"{name}: {message}")
            case other:
                self._refuse(other)

    def call(self, args: tuple, kwargs: dict) -> object:
        """The function's result for these arguments; raises its exceptions, by builtin type."""
        match self._exchange("call", args, kwargs):
            case ["returned", value, list(after), dict(named)] if len(after) == len(args):
                self._carry_out(args, kwargs, after, named)
                return value
            case ["raised", [*names], str(message), list(after), dict(named)] if len(after) == len(args):
                self._carry_out(args, kwargs, after, named)
                self.raised = _exception(names, message)
                raise self.raised
            case other:
                self._refuse(other)

    def _carry_out(self, args: tuple, kwargs: dict, after: list, named: dict) -> None:
        self.answered += 1
        for old, new in zip(args, after, strict=True):
            refresh(old, new)
        for name in kwargs:
            refresh(kwargs[name], named.get(name))

    def _exchange(self, *message: object) -> list:
        if self.verdict:
            raise Over
        nonce = os.urandom(16)
        deadline = min(self._deadline, time.monotonic() + self._call_seconds)
        try:
            send(self._calls, self._asked([nonce, *message]), deadline)
            reply = decode(receive(self._replies, self._limit, deadline))
        except TimeoutError:
            self._end("timeout", f"no answer to a {message[0]} in time")
        except (EOFError, BrokenPipeError):
            self._end("crashed", f"its process ended during a {message[0]}")
        except (TooLarge, MemoryError, RecursionError) as error:
            self._end("limit", str(error))
        except Malformed as error:
            self._end("not plain data", str(error))
        if type(reply) is not list or not reply or reply[0] != nonce:
            self._end("not plain data", "a reply to no question of ours")
        return reply[1:]

    def _asked(self, message: list) -> bytes:
        try:
            return encode(message, ASKED_LIMIT)
        except (NotPlain, TooLarge) as error:
            if not self.answered:
                raise Broken(f"the arguments of its first call cannot be sent ({error})") from error
            self._end("not plain data", f"arguments made from its results: {error}")

    def _refuse(self, reply: list) -> NoReturn:
        match reply:
            case ["refused", "limit" | "not plain data" as reason, str(detail)]:
                self._end(reason, detail)
        self._end("not plain data", "a reply of no known form")

    def _end(self, reason: str, detail: str) -> NoReturn:
        self.verdict = [reason, detail]
        raise Over


def _exception(names: list, message: str) -> BaseException:
    for name in names:
        kind = getattr(builtins, name, None) if type(name) is str else None
        if isinstance(kind, type) and issubclass(kind, BaseException):
            try:
                return kind(message)
            except TypeError:
                continue  # the Unicode errors want five arguments; their parents do not
    return Exception(message)


def refresh(old: object, new: object) -> object:
    """Makes `old` equal to `new` in place where it can change, keeping inner lists, dicts and sets.

    Returns the object that now stands for `new`: `old` where it is of the same mutable type, or an equal
    tuple around such; `new` otherwise.
    """
    if type(old) is not type(new):
        return new
    if isinstance(old, list) and isinstance(new, list):
        kept = [refresh(*pair) for pair in zip(old, new, strict=False)]
        old[:] = kept + new[len(kept) :]
    elif isinstance(old, tuple) and isinstance(new, tuple):
        kept = [refresh(*pair) for pair in zip(old, new, strict=False)]
        return tuple(kept) + new[len(kept) :]
    elif isinstance(old, dict) and isinstance(new, dict):
        merged = {key: refresh(old.get(key), value) for key, value in new.items()}
        old.clear()
        old.update(merged)
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)
    else:
        return new
    return old
