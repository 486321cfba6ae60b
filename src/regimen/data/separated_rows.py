"""Rows of CSV and TSV files: every cell is text as it stands.

Owns the header, the delimiter and the words for what is wrong. A guess of types would read 007 as 7 and NA as
nothing; none is made. Does not know forms.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from regimen.data.opening import kind_of, lines_of
from regimen.errors import DataError

MOST_CELL = 1 << 30  # characters of one cell; Python's own limit of 131,072 is less than a long document
DELIMITERS = (",", ";", "\t")


def separated_rows(name: str, path: Path) -> Iterator[dict[str, str]]:
    """The rows of a file with a header; raises DataError naming the line."""
    csv.field_size_limit(MOST_CELL)
    reader = csv.reader(_lines(name, path), delimiter=delimiter_of(name, path), strict=True)
    began = 0
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise DataError(f"{name}, line 1: a column name stands twice among {', '.join(header)}")
        began = reader.line_num
        for cells in reader:
            if cells and len(cells) != len(header):
                where = f"{name}, line {reader.line_num}"
                raise DataError(f"{where}: {len(cells)} cells, the header names {len(header)} columns")
            if cells:
                yield dict(zip(header, cells, strict=True))
            began = reader.line_num
    except csv.Error as bad:
        said = f"{name}, line {began + 1}: {bad} (is a quotation mark left open, or the file cut short?)"
        raise DataError(said) from None


def delimiter_of(name: str, path: Path) -> str:
    """The tab of a .tsv; else the one of `,`, `;` and tab that stands most often in the header, outside quotes."""
    if kind_of(path) == ".tsv":
        return "\t"
    header = re.sub(r'"[^"]*"', "", next(_lines(name, path), ""))
    return max(DELIMITERS, key=header.count)  # the first of equals: a comma where there is none


def _lines(name: str, path: Path) -> Iterator[str]:
    """Lines with their ends, which a lone carriage return also is."""
    for _, line in lines_of(name, path):
        if "\r" in line[:-2]:
            yield from re.split(r"(?<=\r)(?!\n)", line)
        else:
            yield line
