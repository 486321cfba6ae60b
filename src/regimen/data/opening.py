"""Opens a file of rows: compressed or plain, UTF-8 or UTF-16, as bytes, decoded lines or decoded pieces.

Owns what a name and the first bytes say about compression and encoding. Does not know formats.
"""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from regimen.errors import DataError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_MAGIC = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
PIECE = 1 << 20  # bytes


def kind_of(path: Path) -> str:
    """The suffix that names the format, in small letters, that of a compression left out: ".csv" of "X.CSV.gz"."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSIONS else suffix


@contextmanager
def opened(name: str, path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed; raises DataError where the name and the bytes disagree about compression."""
    with path.open("rb") as file:
        first = file.read(4)
    if not first:
        raise DataError(f"{name}: the file is empty")
    said = path.suffix.lower() if path.suffix.lower() in COMPRESSIONS else None
    found = next((suffix for magic, suffix in _MAGIC.items() if first.startswith(magic)), None)
    if said and said != found:
        raise DataError(f"{name}: the name says that {COMPRESSIONS[said]} compressed the file, its first bytes do not")
    if found and not said:
        raise DataError(f"{name}: {COMPRESSIONS[found]} compressed the file; give its name the ending {found}")
    if found == ".gz":
        with gzip.open(path, "rb") as plain:
            yield cast(IO[bytes], plain)
    elif found == ".zst":
        import pyarrow as pa

        with pa.CompressedInputStream(str(path), "zstd") as stream:
            yield cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, stream), PIECE))
    else:
        with path.open("rb") as file:
            yield file


def first_mark(name: str, path: Path) -> str:
    """The first character that is no blank, "" where the first 4,096 bytes have none."""
    with opened(name, path) as file:
        head = file.read(4096)
    return head.decode(_encoding(head), errors="replace").lstrip("\ufeff \t\r\n")[:1]


def lines_of(name: str, path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line with its end), a byte order mark left out; raises DataError naming line and byte."""
    with opened(name, path) as file:
        first = file.readline()
        encoding = _encoding(first)
        if encoding != "utf-8":
            yield from enumerate(_wide_lines(name, path, encoding), start=1)
            return
        number, line = 1, first.removeprefix(codecs.BOM_UTF8)
        while line:
            try:
                yield number, line.decode()
            except UnicodeDecodeError as bad:
                raise DataError(
                    f"{name}, line {number}: not UTF-8 at byte {bad.start} (0x{line[bad.start]:02x})"
                ) from None
            number, line = number + 1, file.readline()


def _encoding(first: bytes) -> str:
    return next((encoding for mark, encoding in _MARKS.items() if first.startswith(mark)), "utf-8")


def _wide_lines(name: str, path: Path, encoding: str) -> Iterator[str]:
    """The lines of a UTF-16 file."""
    rest = ""
    for piece in pieces_of(name, path):
        *whole, rest = (rest + piece).split("\n")
        yield from (line + "\n" for line in whole)
    if rest:
        yield rest


def pieces_of(name: str, path: Path) -> Iterator[str]:
    """The text in pieces of about a megabyte, a byte order mark left out; raises DataError for what is no text."""
    with opened(name, path) as file:
        piece = file.read(PIECE)
        encoding = _encoding(piece)
        decoder = codecs.getincrementaldecoder(encoding)()
        start = {"utf-8": codecs.BOM_UTF8}.get(encoding, piece[:2])
        piece, lines = piece.removeprefix(start), 1
        while True:
            try:
                text = decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as bad:
                near = lines + bad.object[: bad.start].count(b"\n")
                raise DataError(f"{name}, line {near}: not {encoding.upper()}") from None
            if text:
                yield text
            if not piece:
                return
            lines += text.count("\n")
            piece = file.read(PIECE)
