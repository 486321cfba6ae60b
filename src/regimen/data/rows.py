"""The rows of a source that may be used on one side: read, unique, on the right side of the split.

Owns the order of these steps and joining running rows into documents. Does not know tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from regimen.data.cleaning import Ledger, Seen, is_held_out
from regimen.data.forms import RowFault, group_of, render, render_text
from regimen.data.sources import Where, parts_of, rows_of
from regimen.errors import DataError
from regimen.study.schema import Documents, Source

Side = Literal["train", "test"]


@dataclass(frozen=True)
class UsableRow:
    """A row with its place and its rendered text (prompt and answer, or the document)."""

    part: str
    number: int
    values: dict[str, Any]
    text: str


def usable_rows(name: str, source: Source, side: Side, where: Where, ledger: Ledger) -> Iterator[UsableRow]:
    """The rows of one side; drops go to `ledger`.

    Raises SourceMissing where the source is not, DataError for a row that does not fit the form (file, row, column,
    value) and for a side without any row.
    """
    held_out = source.held_out
    split = source.split
    if side == "test":
        if held_out is None:
            raise DataError(f"source {name!r} has no held-out rows to test on")
        split = held_out.split or source.split
    if split is None:
        raise DataError(f"source {name!r} has no training split")
    deduplicate = side == "train" or held_out is None or held_out.split is None  # a test split stays as published
    seen = Seen()
    used = 0
    for row in _documents(source.documents, rows_of(parts_of(name, source, split, where))):
        part, number, values = row
        if side == "train" and source.limit is not None and ledger.rows >= source.limit:
            break
        ledger.rows += 1
        try:
            text = _text(source, values)
            if deduplicate and not seen.add(text):
                ledger.drop(part, number, "duplicate", text)
                continue
            if held_out and held_out.share is not None:
                aside = is_held_out(group_of(source.form, values), held_out.share)
                if aside != (side == "test"):
                    if side == "train":
                        ledger.drop(part, number, "held out")
                    continue
        except RowFault as fault:
            if fault.drop is None:
                raise DataError(f"source {name!r}, {part}, row {number}, {fault}") from None
            ledger.drop(part, number, fault.drop, str(fault))
            continue
        used += 1
        yield UsableRow(part, number, values, text)
    if not used:
        raise DataError(f"source {name!r}: none of its {ledger.rows} rows is left for {side} ({ledger.counts})")


def _text(source: Source, values: dict[str, Any]) -> str:
    if source.form.prompt is None:
        text = render_text(source.form, values)
    else:
        rendered = render(source.form, values)
        text = rendered.prompt + rendered.answer
    if not text.strip():
        raise RowFault("text", text, "is empty", drop="empty")
    return text


def _documents(
    rule: Documents | None, rows: Iterator[tuple[str, int, dict[str, Any]]]
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Joins running rows' `text`; a document bears the number of its first row."""
    if rule is None:
        yield from rows
        return
    pattern = re.compile(rule.starts) if rule.starts else None
    lines: list[str] = []
    first: tuple[str, int] = ("", 0)
    for part, number, values in rows:
        if "text" not in values:
            raise DataError(f"{part}, row {number}: no column 'text' to join into documents")
        line = str(values["text"] or "")
        full = rule.rows is not None and len(lines) >= rule.rows
        if lines and (full or part != first[0] or (pattern and pattern.match(line.rstrip("\n")))):
            yield first[0], first[1], {"text": rule.separator.join(lines)}
            lines = []
        if not lines:
            first = (part, number)
        lines.append(line)
    if lines:
        yield first[0], first[1], {"text": rule.separator.join(lines)}
