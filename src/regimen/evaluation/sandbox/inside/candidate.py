"""Runs one generated program and answers calls to its function: all of this process is hostile ground.

Nothing here decides anything. The program shares the process with this code and may write what it likes
into the reply pipe; all it gains is to return some plain value, which it may do anyway.

    it says   "ready"
    asked     [nonce, "load", program, entry_point]     answers  [nonce, "loaded" | "absent"] or raised, refused
    asked     [nonce, "call", args, kwargs]             answers  [nonce, "returned", value, args, kwargs]
                                                             or  [nonce, "raised", class names, message, args, kwargs]
                                                             or  [nonce, "refused", reason, detail]
"""

from __future__ import annotations

import sys

from regimen.evaluation.sandbox.inside.channel import receive, send
from regimen.evaluation.sandbox.inside.codec import NotPlain, TooLarge, decode, encode

_ASKED_LIMIT = 1 << 23
_NAME = "candidate"


def serve(calls: int, replies: int, limit: int) -> None:
    """Answers on `replies` what is asked on `calls` until that is closed; replies stay under `limit` bytes."""
    send(replies, encode("ready", limit))
    function: object = None
    while True:
        try:
            message = decode(receive(calls, _ASKED_LIMIT))
        except EOFError:
            return
        nonce, verb, first, second = message  # type: ignore[misc]  # the tester's own words
        if verb == "load":
            function, answer = _load(first, second)
        else:
            answer = _call(function, list(first), second)
        send(replies, _encoded(nonce, answer, limit))


def _load(program: str, entry_point: str) -> tuple[object, list]:
    # A true module, because dataclasses and typing look their class's module up.
    module = sys.modules[_NAME] = type(sys)(_NAME)
    try:
        exec(compile(program, f"<{_NAME}>", "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        return None, [*_raised(error), (), {}]
    function = module.__dict__.get(entry_point)
    return (function, ["loaded"]) if callable(function) else (None, ["absent"])


def _call(function, args: list, kwargs: dict) -> list:
    try:
        return ["returned", function(*args, **kwargs), args, kwargs]
    except BaseException as error:
        return [*_raised(error), args, kwargs]


def _raised(error: BaseException) -> list:
    """The names of the error's classes, nearest first, so that a test can catch it by builtin type."""
    names = [kind.__name__ for kind in type(error).__mro__]
    try:
        message = str(error)[:400]
    except BaseException:
        message = "its message cannot be printed"
    return ["raised", names, message]


def _encoded(nonce: bytes, answer: list, limit: int) -> bytes:
    try:
        return encode([nonce, *answer], limit)
    except NotPlain as error:
        return encode([nonce, "refused", "not plain data", str(error)], limit)
    except TooLarge as error:
        return encode([nonce, "refused", "limit", str(error)], limit)
