"""What is wrong with a file that could not be read: line or row, column and value, found by reading it again.

Owns the wording. Reads only files that a reader has refused already. Does not know sources or forms.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any


def pinpointed(name: str, path: Path, fault: Exception) -> str:
    """One sentence: file, line or row, and what is wrong there; the reader's own words where nothing is found."""
    look = {".jsonl": _in_json_lines, ".csv": _in_csv, ".parquet": _in_parquet}.get(path.suffix)
    found = look(path) if look else None
    if found is not None:
        return f"{name}{found}"
    first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
    return f"{name}: cannot be read ({first[:200]})"


def _in_json_lines(path: Path) -> str | None:
    types: dict[str, tuple[type, int]] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and (said := _json_line(line, number, types)) is not None:
                return f", line {number}{said}"
    return None


def _json_line(line: bytes, number: int, types: dict[str, tuple[type, int]]) -> str | None:
    try:
        row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as bad:
        return f": not UTF-8 at byte {bad.start} (0x{line[bad.start]:02x})"
    except json.JSONDecodeError as bad:
        cut = "" if line.endswith(b"\n") else "; the file ends inside this line (was it cut short?)"
        return f": not JSON: {bad.msg} at column {bad.colno}{cut}"
    if not isinstance(row, dict):
        return f": a {type(row).__name__}, not an object with columns"
    for column, value in row.items():
        kind = float if type(value) is int else type(value)
        first = types.setdefault(column, (kind, number))
        if value is not None and first[0] is not type(None) and first[0] is not kind:
            shown = repr(value)[:60]
            return f", column {column!r}: {shown} is a {_named(value)}, line {first[1]} holds a {first[0].__name__}"
        if isinstance(value, str) and (half := _half_character(value)):
            return f", column {column!r}: {half} is half of a character (a lone surrogate)"
    return None


def _named(value: Any) -> str:
    return type(value).__name__


def _half_character(text: str) -> str:
    return next((f"\\u{ord(c):04x}" for c in text if "\ud800" <= c <= "\udfff"), "")


def _in_csv(path: Path) -> str | None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as bad:
                return f", line {number}: not UTF-8 at byte {bad.start} (0x{line[bad.start]:02x})"
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        began = 0
        try:
            for _ in reader:
                began = reader.line_num
        except csv.Error as bad:
            return f", line {began + 1}: {bad} (is a quotation mark left open, or the file cut short?)"
    return None


def _in_parquet(path: Path) -> str | None:
    """The row of a text that is no UTF-8; damage of the file itself is in the reader's words."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        row = 0
        for batch in pq.ParquetFile(path).iter_batches():
            for column, values in zip(batch.schema.names, batch.columns, strict=True):
                if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
                    for offset, raw in enumerate(values.cast(pa.large_binary()).to_pylist()):
                        if (bad := _not_utf8(raw)) is not None:
                            return f", row {row + offset}, column {column!r}: not UTF-8 at byte {bad}"
            row += batch.num_rows
    except (pa.ArrowException, OSError):
        return None
    return None


def _not_utf8(raw: bytes | None) -> int | None:
    try:
        (raw or b"").decode("utf-8")
    except UnicodeDecodeError as bad:
        return bad.start
    return None
