"""Chooses the reader for each file.

Owns the table of formats, what is said of a file's layout where it was guessed, and the one sentence for what cannot
be read. Does not know where files are, prompts or tokens.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from regimen.data.json_rows import json_rows, layout_of
from regimen.data.opening import COMPRESSIONS, kind_of
from regimen.data.row import Row
from regimen.data.separated_rows import delimiter_of, separated_rows
from regimen.data.table_rows import arrow_rows, parquet_rows
from regimen.data.text_rows import conll_rows, document_row, line_rows
from regimen.errors import DataError

Reader = Callable[[str, Path], Iterator[Any]]
JSON = (".jsonl", ".ndjson", ".json")
SEPARATED = (".csv", ".tsv")
DOCUMENTS = (".txt", ".md")
_READERS: dict[str, Reader] = {
    **dict.fromkeys(SEPARATED, separated_rows),
    ".parquet": parquet_rows,
    ".arrow": arrow_rows,
    ".txt": line_rows,
    ".md": document_row,
    **dict.fromkeys((".conll", ".iob", ".iob2", ".bio"), conll_rows),
}
_UNCOMPRESSED = (".parquet", ".arrow")  # they compress within
READ = (*JSON, *_READERS)


def is_read(path: Path) -> bool:
    """True if the name is that of a format that is read."""
    kind = kind_of(path)
    return kind in READ and not (kind in _UNCOMPRESSED and path.suffix.lower() in COMPRESSIONS)


def file_rows(name: str, path: Path, wrapped_in: str | None = None, *, is_document: bool = False) -> Iterator[Row]:
    """The rows of one file; `is_document` makes one row of a text file. Raises DataError for what cannot be read."""
    kind = kind_of(path)
    if not is_read(path):
        raise DataError(f"{name}: a {path.suffix or 'nameless'} file is not read; use {', '.join(READ)}")
    if wrapped_in is not None and kind not in JSON:
        raise DataError(f"{name}: `field: {wrapped_in}` is for JSON files")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{name}: the file is empty")
        if kind in JSON:
            yield from json_rows(name, path, wrapped_in)
        else:
            yield from (document_row if is_document and kind in DOCUMENTS else _READERS[kind])(name, path)
    except (EOFError, zlib.error) as fault:
        raise DataError(f"{name}: the compressed file is damaged or cut short ({_first_line(fault)})") from None
    except (OSError, ValueError) as fault:  # pyarrow's own errors are both
        raise DataError(f"{name}: cannot be read ({_first_line(fault)})") from None


def remark(name: str, path: Path) -> str | None:
    """The guess about a file's layout, for people; None where its name says everything."""
    kind = kind_of(path)
    if kind == ".csv" and (mark := delimiter_of(name, path)) != ",":
        return f"{name}: its columns are parted by {'tabs' if mark == chr(9) else mark}"
    if kind == ".txt":
        return f"{name}: each line is a row; a pattern such as *.txt makes a document of each file"
    if kind == ".json":
        layout = layout_of(name, path)
        if layout.key is not None:
            return f"{name}: its rows are the list {layout.key!r}"
        if layout.kind in ("columns", "row"):
            return f"{name}: the file is read as {'a table by columns' if layout.kind == 'columns' else 'one row'}"
    return None


def _first_line(fault: Exception) -> str:
    return (str(fault).splitlines() or [type(fault).__name__])[0][:200]
