"""Makes the sandbox's case of a test item and a generated text.

Owns how program and test are put together, for tests that call a function and for tests that type input and read
output. Runs nothing itself. Does not know models.
"""

from __future__ import annotations

import json

from regimen.data.items import Item
from regimen.evaluation.fences import unfenced
from regimen.evaluation.sandbox import Case

_RUN = "run_program"
# The whole program is run anew for each input, inside the candidate's sandbox.
_TYPED = """\
import io, sys
CODE = compile({source!r}, "<program>", "exec", dont_inherit=True)


def {run}(text):
    kept = sys.stdin, sys.stdout
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    try:
        exec(CODE, {{"__name__": "__main__"}})
    except SystemExit:
        pass
    finally:
        printed = sys.stdout
        sys.stdin, sys.stdout = kept
    printed.flush()
    return printed.buffer.getvalue().decode("utf-8", "replace")
"""
# Blanks at the ends of lines and empty lines at the end count for nothing.
_COMPARED = """\
PAIRS = {pairs!r}


def lines(text):
    return [line.rstrip() for line in text.strip().splitlines()]


def check(candidate):
    for given, wanted in PAIRS:
        printed = candidate(given)
        assert lines(printed) == lines(wanted), f"for the input {{given!r}} it prints {{printed!r}}, not {{wanted!r}}"
"""


def program_in(item: Item, text: str) -> str:
    """The generated program without Markdown fences; `text` itself where it has none."""
    return unfenced(text, item.extra["prompt"])


def case_of(item: Item, text: str) -> Case:
    """The program that the text makes of the item, and its test.

    A program that does not continue a prompt loses the blanks before it: they are not indentation.
    """
    beginning, test, entry = (item.extra[key] for key in ("prompt", "test", "entry_point"))
    program = beginning + text if beginning else text.lstrip()
    if entry:
        return Case(program, entry, test, beginning, origin=item.id)
    pairs = [tuple(pair) for pair in json.loads(test)]
    return Case(_TYPED.format(source=program, run=_RUN), _RUN, _COMPARED.format(pairs=pairs), origin=item.id)
