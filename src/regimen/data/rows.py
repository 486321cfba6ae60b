"""The rows of a source that may be used on one side: read, unique, on the right side of the split.

Owns the order of these steps and joining running rows into documents. Does not know tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from regimen.data.choice import InTurn, place_hash
from regimen.data.classes import class_of
from regimen.data.cleaning import Drops, Seen, normalised, side_of
from regimen.data.forms import Rendered, group_of, render, render_text
from regimen.data.row_fault import RowFault
from regimen.data.sources import Part, Where, parts_of, rows_of
from regimen.errors import DataError
from regimen.study.patterns import compiled_pattern
from regimen.study.sources import Documents, Side, Source

Numbered = tuple[str, int, dict[str, Any]]
BATCH_ROWS = 1000
LOOKED_AT = 50  # rows of a file that a first look renders
BATCH_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class UsableRow:
    """A row with its place, its text (prompt and answer, or the document) and that text normalised."""

    part: str
    number: int
    values: dict[str, Any]
    text: str
    normal: str
    rendered: Rendered | None = None


def usable_rows(name: str, source: Source, side: Side, where: Where, drops: Drops) -> Iterator[UsableRow]:
    """The rows of one side; dropped rows are noted in `drops`.

    A `limit` takes rows by the hash of their places, or the first ones (`Source.takes_first_rows`); of several configs
    each gives an equal share. Raises SourceMissing where the source is
    not, DataError for a row that does not fit the form (file, row, column, value) and for a side without any row.
    """
    if side == "test" and source.held_out is None and not source.is_only_tested_on:
        raise DataError(f"source {name!r} has no held-out rows to test on")
    split = source.split_of(side)
    if split is None:
        lacks = "training split" if side == "train" else "`validation` rows"
        raise DataError(f"source {name!r} has no {lacks}")
    parts = parts_of(name, source, split, where)
    as_published = side != "train" and source.share_of(side) is None
    seen = None if as_published else Seen()
    used = 0
    for part, number, values in _documents(source, side, parts):
        drops.rows += 1
        try:
            rendered, text = _text(source, values)
            normal = normalised(text)
            if seen is not None and not seen.add_normalised(normal):
                drops.drop(part, number, "duplicate", text)
                continue
            if (other := _other_side(source, side, values)) is not None:
                if side == "train" or as_published:
                    drops.drop(part, number, _CUT[other])
                continue
        except RowFault as fault:
            if fault.drop is None:
                raise DataError(f"source {name!r}, {part}, row {number}, {fault}") from None
            drops.drop(part, number, fault.drop, str(fault))
            continue
        used += 1
        yield UsableRow(part, number, values, text, normal, rendered)
    if not used:
        counts = ", ".join(f"{count} {reason}" for reason, count in drops.counts.items()) or "none dropped"
        raise DataError(f"source {name!r}: none of its {drops.rows} rows is left for {side} ({counts})")


def first_fault(source: Source, parts: Iterable[Part]) -> str | None:
    """Why the first rows of these files or tables cannot be used, None where they can; no more than LOOKED_AT of each.

    Rows that would be dropped and counted are no fault.
    """
    try:
        for part in parts:
            for name, number, values in _joined(source.documents, islice(rows_of([part]), LOOKED_AT)):
                try:
                    _text(source, values)
                except RowFault as fault:
                    if fault.drop is None:
                        return f"{name}, row {number}, {fault}"
    except DataError as fault:
        return str(fault)
    return None


def in_batches(rows: Iterable[UsableRow]) -> Iterator[list[UsableRow]]:
    """Rows in lists of at most 1,000, and of little more than 4 million characters."""
    batch: list[UsableRow] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row.text)
        if len(batch) == BATCH_ROWS or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


_CUT = {"test": "held out", "validation": "validated on"}


def _other_side(source: Source, side: Side, values: dict[str, Any]) -> Side | None:
    """The side that a row lies on where it is not `side`.

    Of a side with rows of its own only those are cut that are validated on and of a group that is tested on.
    """
    test, validation = source.share_of("test"), source.share_of("validation")
    if (test is None and validation is None) or (side == "test" and test is None):
        return None
    if side == "validation" and validation is None:
        return "test" if side_of(group_of(source.form, values), test, None) == "test" else None
    own = side_of(group_of(source.form, values), test, validation)
    return None if own == side else own


def _text(source: Source, values: dict[str, Any]) -> tuple[Rendered | None, str]:
    if not source.form.is_asked:
        rendered, text = None, render_text(source.form, values)
    else:
        rendered = render(source.form, values)
        text = rendered.prompt + rendered.answer
    if not text.strip():
        raise RowFault("text", text, "is empty", drop="empty")
    return rendered, text


def _documents(source: Source, side: Side, parts: list[Part]) -> Iterator[Numbered]:
    """The rows, or the documents that they are joined to; of the training side no more rows than the limit."""
    limit = source.limit
    if side == "test" or (side == "validation" and not (source.takes_first_rows and source.share_of(side))):
        limit = None
    if limit is not None and not source.takes_first_rows:
        each = -(-limit // len(parts)) if len(source.configs) > 1 else limit
        for together in [[part] for part in parts] if len(source.configs) > 1 else [parts]:
            yield from _chosen(source, together, each)
        return
    share = None if limit is None else -(-limit // len(parts))
    for part in parts:
        yield from _joined(source.documents, islice(rows_of([part]), share))


def _chosen(source: Source, parts: list[Part], limit: int) -> Iterator[Numbered]:
    """`limit` of the rows, chosen among all by the hash of their places, classes in turn; read twice."""
    first: InTurn[int] = InTurn(limit)
    for part, number, values in rows_of(parts):
        first.add(_class(source, values), place_hash(part, number))
    last = {kind: hashes[-1] for kind, hashes in first.by_class().items() if hashes}
    for part, number, values in rows_of(parts):
        if place_hash(part, number) <= last.get(_class(source, values), -1):
            yield part, number, values


def _class(source: Source, values: dict[str, Any]) -> int:
    """The row's class; -1 where there are none, and for a row that has none of them."""
    if source.form.label is None:
        return -1
    try:
        return class_of(source.form.label, values)
    except RowFault:
        return -1


def _joined(rule: Documents | None, rows: Iterator[Numbered]) -> Iterator[Numbered]:
    """Rows whose `text` is joined by `rule`; a document bears the number of its first row."""
    if rule is None:
        yield from rows
        return
    pattern = compiled_pattern(rule.starts) if rule.starts else None
    lines: list[str] = []
    first: tuple[str, int] = ("", 0)
    for part, number, values in rows:
        if "text" not in values:
            raise DataError(f"{part}, row {number}: no column 'text' to join into documents")
        line = str(values["text"] or "")
        full = rule.rows is not None and len(lines) >= rule.rows
        if lines and (full or (pattern and pattern.match(line.rstrip("\n")))):
            yield first[0], first[1], {"text": rule.separator.join(lines)}
            lines = []
        if not lines:
            first = (part, number)
        lines.append(line)
    if lines:
        yield first[0], first[1], {"text": rule.separator.join(lines)}
