"""Rows of plain text: a document a file, a row a line, and sentences in CoNLL's columns.

Owns these layouts. Does not know forms.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from regimen.data.opening import lines_of
from regimen.errors import DataError

_COMMENT = re.compile(r"#\s.*=|#\s*new(doc|par)\b")


def document_row(name: str, path: Path) -> Iterator[dict[str, str]]:
    """The file as one row: its `text` and its name as `file`."""
    text = "".join(line for _, line in lines_of(name, path))
    yield {"text": text.replace("\r\n", "\n"), "file": name}


def line_rows(name: str, path: Path) -> Iterator[dict[str, str]]:
    """A row for each line, its end left out."""
    for _, line in lines_of(name, path):
        yield {"text": line.rstrip("\r\n")}


def conll_rows(name: str, path: Path) -> Iterator[dict[str, list[str]]]:
    """A row for each sentence: `tokens`, the first column, and `tags`, the last; raises DataError naming the line."""
    tokens: list[str] = []
    tags: list[str] = []
    width = 0
    for number, line in lines_of(name, path):
        cells = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
        if not line.strip() or cells[0] == "-DOCSTART-" or (not tokens and _COMMENT.match(line)):
            if tokens:
                yield {"tokens": tokens, "tags": tags}
            tokens, tags = [], []
            continue
        width = width or len(cells)
        if len(cells) != width or width < 2:
            wanted = f"the lines before have {width}" if width > 1 else "a token and its tag are two"
            raise DataError(f"{name}, line {number}: {len(cells)} columns, {wanted}")
        tokens.append(cells[0])
        tags.append(cells[-1])
    if tokens:
        yield {"tokens": tokens, "tags": tags}
