"""A program inside Markdown fences, as chat models write them, without the fences and the words around it.

Owns the one rule. Parses Python, runs none. Does not know items or tests.
"""

from __future__ import annotations

import ast
import re
import warnings

_OPENING = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[^\s`]*)[^\n`]*$", re.MULTILINE)


def unfenced(text: str, beginning: str = "") -> str:
    """The program in a generated text; `beginning` is the code of the prompt that the text goes on with.

    A text that is Python as it stands is left as it is: its fences stand in a string. A fence without a language after
    a whole program closes it, since the prompt may have opened it. Else the first fenced block is the program; a block
    that the limit of tokens cut off goes on to the end.
    """
    opening = _OPENING.search(text)
    if opening is None or _parsed(beginning + text) is not None:
        return text
    before = text[: opening.start()]
    if not opening["language"] and _is_program(beginning, before):
        return before
    rest = text[opening.end() :].removeprefix("\n")
    closing = re.search(rf"^[ \t]*{re.escape(opening['fence'])}[ \t]*$", rest, re.MULTILINE)
    return rest[: closing.start()] if closing else rest


def _is_program(beginning: str, before: str) -> bool:
    """True if the text before a fence is code rather than words about the code."""
    tree = _parsed(beginning + before) if before.strip() else None
    if tree is None or not tree.body:
        return False
    last = tree.body[-1]
    return not isinstance(last, ast.Expr) or isinstance(last.value, ast.Call)


def _parsed(code: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of strange escapes in the model's strings
        try:
            return ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
