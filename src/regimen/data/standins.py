"""A mirror's own notes: rows that stand in for a source's own.

Owns the one rule. A mirror may hold a SOURCES.md with a Markdown table, one line for each source: first cell the Hub
id (and config), second the splits, any further cells in free words. A line with the word STAND-IN, in capitals, says
that these rows are not the source's own, and every account of a result made from them says so too. Does not know
runs or reports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from regimen.data.sources import Where
from regimen.study.sources import Source

ACCOUNT = "SOURCES.md"
MARK = "STAND-IN"
_LONGEST = 400
_NAME = re.compile(r"`?([\w.-]+/[\w.-]+)`?(?:[\s(]+([\w.-]+)\)?)?")


@dataclass(frozen=True)
class _Line:
    hub: str
    config: str | None
    splits: str
    note: str


def stand_in(source: Source, split: str, where: Where) -> str | None:
    """The mirror's note on the rows of a source's split if they are no rows of that source, else None."""
    if where.data is None or source.hub is None or source.files:
        return None
    for line in _lines(where.data / ACCOUNT):
        fits = line.config is None or source.config is None or line.config in source.configs
        if line.hub == source.hub and fits and re.search(rf"(?<![\w.-]){re.escape(split)}(?![\w.-])", line.splits):
            return line.note
    return None


@lru_cache(maxsize=8)
def _lines(path: Path) -> tuple[_Line, ...]:
    """The marked lines of a mirror's account; a mirror without one, or one that cannot be read, marks nothing."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    found = []
    for row in text.splitlines():
        cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
        name = _NAME.match(cells[0])
        marked = next((cell for cell in cells[2:] if MARK in cell), None)
        if row.startswith("|") and name and marked:
            note = marked.replace("**", "").replace("`", "")
            note = note if len(note) <= _LONGEST else note[:_LONGEST].rsplit(" ", 1)[0] + " ..."
            found.append(_Line(name[1], name[2], cells[1], note))
    return tuple(found)
