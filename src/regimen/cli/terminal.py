"""The console of all commands: it prints text without markup and replaces control characters.

Owns this console. Rows, titles and file names come from others; an escape sequence in one of them could
rewrite the screen. Does not know the texts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
REPLACEMENT = "\ufffd"


def harmless(text: str) -> str:
    """The text with each control character (line ends and tabs apart) replaced by one visible character."""
    return _CONTROL.sub(REPLACEMENT, text)


def say(text: str, *, to_stderr: bool = False) -> None:
    """Prints lines of text as they are."""
    stream = sys.stderr if to_stderr else sys.stdout
    stream.write(harmless(text) + "\n")
    stream.flush()


class _Console(Console):
    """A console that shows square brackets as such and replaces control characters."""

    def render_str(self, text: str, **how: Any) -> Text:
        """The string as rich text, harmless before it is measured."""
        return super().render_str(harmless(text), **how)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The renderable's segments, harmless."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


def console(*, stderr: bool = False) -> Console:
    """The console on stdout or stderr."""
    return _Console(stderr=stderr, markup=False, highlight=False)
