"""Rows of JSON files, each value as it is written: JSON lines, a list of objects, or one object around rows.

Owns the shapes that people's JSON has and the words for what is wrong in it. Python's own scanner parses: it keeps
integers of any length, and NaN for those who do not use it. No more than one row and a piece of the file is held.
Does not know forms.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regimen.data.opening import first_mark, kind_of, lines_of, pieces_of
from regimen.data.row import Row
from regimen.errors import DataError

_NEAR_THE_END = 16  # characters; a fault closer to the end of a piece may be that the piece ends there


class WrittenFloat(float):
    """A number with a point or an exponent that prints as it stands in the file: 2.50 and not 2.5."""

    __slots__ = ("_written",)

    def __new__(cls, written: str) -> WrittenFloat:
        """From the literal."""
        number = super().__new__(cls, written)
        number._written = written
        return number

    def __str__(self) -> str:
        return str(self._written)


_DECODER = json.JSONDecoder(parse_float=WrittenFloat)


def json_rows(name: str, path: Path, wrapped_in: str | None) -> Iterator[Row]:
    """The rows of a JSON or JSON lines file, `wrapped_in` the key of the list that holds them; raises DataError."""
    layout = layout_of(name, path, wrapped_in)
    if layout.kind == "lines":
        yield from _line_rows(name, path)
    elif layout.kind == "columns":
        yield from _rows_of_columns(name, _Stream(name, path).value())
    elif layout.kind == "row":
        yield _checked(name, "", _Stream(name, path).value())
    else:
        stream = _Stream(name, path)
        if layout.key is not None:
            stream.go_to(layout.key)
        for number, (line, value) in enumerate(stream.items()):
            yield _checked(name, f", line {line}, item {number}", value)
        if layout.key is None and stream.peek():
            raise stream.fault("something follows the end of the list")


@dataclass(frozen=True)
class Layout:
    """A file's layout: "lines", a "list" (under `key`, if it is wrapped), "columns", or the file is a "row"."""

    kind: str
    key: str | None = None


def layout_of(name: str, path: Path, wrapped_in: str | None = None) -> Layout:
    """The file's layout; raises DataError for a file that is not JSON, or if `wrapped_in` names no list."""
    first = first_mark(name, path)
    if not first:
        raise DataError(f"{name}: the file holds no row")
    if first == "[" or kind_of(path) != ".json" or first != "{":
        if wrapped_in is not None:
            raise DataError(f"{name}: `field: {wrapped_in}` is for an object around rows, and the file has none")
        return Layout("list" if first == "[" else "lines")
    return _layout_of_object(name, _Stream(name, path), wrapped_in)


def _layout_of_object(name: str, stream: _Stream, wrapped_in: str | None) -> Layout:
    kinds = stream.survey()
    lists = [key for key, kind in kinds.items() if kind == "rows"]
    if wrapped_in is not None:
        if wrapped_in not in lists:
            there = f"its lists of objects are {', '.join(lists)}" if lists else "it has no list of objects"
            raise DataError(f"{name}: no list of objects {wrapped_in!r} (`field`); {there}")
        return Layout("list", wrapped_in)
    if stream.peek():
        return Layout("lines")
    if len(lists) > 1:
        raise DataError(f"{name}: several lists of objects ({', '.join(lists)}); name one with `field`")
    if lists:
        return Layout("list", lists[0])
    columns = bool(kinds) and (set(kinds.values()) == {"list"} or set(kinds.values()) == {"object"})
    return Layout("columns" if columns else "row")


@dataclass
class _Stream:
    """The text of a file from `at` on; more is read when it is needed."""

    name: str
    path: Path
    text: str = ""
    at: int = 0
    line: int = 1
    ended: bool = False
    pieces: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        self.pieces = pieces_of(self.name, self.path)

    def _more(self) -> None:
        """Reads as much again as there is, so that a long value is not parsed again too often."""
        self.line += self.text.count("\n", 0, self.at)
        parts = [self.text[self.at :]]
        wanted = len(parts[0])
        while True:
            piece = next(self.pieces, None)
            if piece is None:
                self.ended = True
                break
            parts.append(piece)
            wanted -= len(piece)
            if wanted <= 0:
                break
        self.text, self.at = "".join(parts), 0

    def peek(self) -> str:
        """The next character that is no blank, "" at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self._more()

    def take(self, wanted: str) -> str:
        """The next character, which has to be one of `wanted`."""
        found = self.peek()
        if not found or found not in wanted:
            expected = " or ".join(wanted)
            raise self.fault(f"expecting {expected}" + ("; the file ends (was it cut short?)" if not found else ""))
        self.at += 1
        return found

    def value(self) -> Any:
        """The value that begins here."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as bad:
                inside = not bad.msg.startswith("Unterminated") and bad.pos < len(self.text) - _NEAR_THE_END
                if self.ended or inside:
                    line = self.text.count("\n", self.at, bad.pos)
                    cut = "; the file ends (was it cut short?)" if not inside else ""
                    raise self.fault(f"{bad.msg}{cut}", line) from None
            except (ValueError, RecursionError) as bad:
                raise self.fault(str(bad)) from None
            else:
                if end < len(self.text) or self.ended:
                    half = _half_character(self.text[self.at : end], value)
                    if half:
                        raise DataError(f"{self.name}, line {self.now}{half}")
                    self.at = end
                    return value
            self._more()

    def items(self) -> Iterator[tuple[int, Any]]:
        """(line, value) of a list's items, one after another."""
        self.take("[")
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            self.peek()
            line = self.now
            yield line, self.value()
            if self.take(",]") == "]":
                return

    def keys(self) -> Iterator[str]:
        """The keys of an object; the caller takes each value before it asks for the next key."""
        self.take("{")
        if self.peek() == "}":
            self.at += 1
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self.fault("a key is no text")
            self.take(":")
            yield key
            if self.take(",}") == "}":
                return

    def go_to(self, wanted: str) -> None:
        """To the value of a key that is there."""
        for key in self.keys():
            if key == wanted:
                return
            self._kind()

    def survey(self) -> dict[str, str]:
        """Key -> kind of value ("rows", "list", "object", "other") of an object, read over to its end."""
        return {key: self._kind() for key in self.keys()}

    def _kind(self) -> str:
        if self.peek() != "[":
            return "object" if isinstance(self.value(), dict) else "other"
        kinds = {isinstance(value, dict) for _, value in self.items()}
        return "rows" if kinds == {True} else "list"

    @property
    def now(self) -> int:
        """The line that is read."""
        return self.line + self.text.count("\n", 0, self.at)

    def fault(self, why: str, lines: int = 0) -> DataError:
        """The fault `lines` below this place."""
        return DataError(f"{self.name}, line {self.now + lines}: not JSON: {why}")


def _line_rows(name: str, path: Path) -> Iterator[Row]:
    for number, line in lines_of(name, path):
        if line.isspace():
            continue
        where = f", line {number}"
        try:
            value = _DECODER.decode(line)
        except json.JSONDecodeError as bad:
            cut = "" if line.endswith("\n") else "; the file ends inside this line (was it cut short?)"
            raise DataError(f"{name}{where}: not JSON: {bad.msg} at column {bad.colno}{cut}") from None
        except (ValueError, RecursionError) as bad:
            raise DataError(f"{name}{where}: not JSON: {bad}") from None
        if half := _half_character(line, value):
            raise DataError(f"{name}{where}{half}")
        yield _checked(name, where, value)


def _checked(name: str, where: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise DataError(f"{name}{where}: a {type(value).__name__}, not an object with columns")
    return value


def _rows_of_columns(name: str, columns: Row) -> Iterator[Row]:
    """Rows of a table that is written by columns: lists of one length, or objects with the same keys."""
    lists = {column: list(cells.values()) if isinstance(cells, dict) else cells for column, cells in columns.items()}
    marks = {tuple(cells) if isinstance(cells, dict) else len(cells) for cells in columns.values()}
    if len(marks) > 1:
        lengths = ", ".join(f"{column} {len(cells)}" for column, cells in lists.items())
        raise DataError(f"{name}: an object of columns that do not fit together (values: {lengths})")
    yield from (dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True))


def _half_character(written: str, value: Any) -> str:
    """The place of half a character in a value: ", column ...: ...", else "". Only an escape can write one."""
    if "\\ud" not in written and "\\uD" not in written:
        return ""
    columns: Iterable[tuple[str, Any]] = value.items() if isinstance(value, dict) else [("", value)]
    for column, cell in columns:
        half = next((f"\\u{ord(c):04x}" for text in _texts(cell) for c in text if "\ud800" <= c <= "\udfff"), None)
        if half:
            place = f", column {column!r}" if column else ""
            return f"{place}: {half} is half of a character (a lone surrogate)"
    return ""


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in _texts(part))
    elif isinstance(value, Sequence):
        yield from (text for part in value for text in _texts(part))
