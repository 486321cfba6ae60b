"""Rows of parquet and Arrow files, and of folders that `datasets` saved.

Owns the way from columns to rows; a table is read in batches. Does not know forms.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from regimen.data.row import Row
from regimen.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 512
STATE = "state.json"
SPLITS = "dataset_dict.json"


def parquet_rows(name: str, path: Path) -> Iterator[Row]:
    """The rows of a parquet file; raises DataError."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        if not file.metadata.num_rows:
            raise DataError(f"{name}: the file holds no row")
        yield from _rows(name, file.iter_batches(batch_size=BATCH_ROWS))


def arrow_rows(name: str, path: Path) -> Iterator[Row]:
    """The rows of an Arrow file, in either of its two layouts; raises DataError."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        is_file = source.read(6) == b"ARROW1"
        source.seek(0)
        if is_file:
            reader = pa.ipc.open_file(source)
            batches = (reader.get_batch(number) for number in range(reader.num_record_batches))
        else:
            batches = iter(pa.ipc.open_stream(source))
        yield from _rows(name, batches)


def saved_files(folder: Path, name: str) -> tuple[Path, ...]:
    """The Arrow files of a folder written by `save_to_disk`, () for another folder; raises DataError."""
    if (folder / SPLITS).is_file():
        splits = json.loads((folder / SPLITS).read_text(encoding="utf-8")).get("splits", [])
        named = ", ".join(f"{name.rstrip('/')}/{split}" for split in splits)
        raise DataError(f"{name}: the folder holds several splits; name one of {named}")
    if not (folder / STATE).is_file():
        return ()
    try:
        files = json.loads((folder / STATE).read_text(encoding="utf-8"))["_data_files"]
        return tuple(folder / Path(file["filename"]).name for file in files)
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{name}: its {STATE} does not list the files of a saved data set") from None


def _rows(name: str, batches: Iterator[pa.RecordBatch]) -> Iterator[Row]:
    row = 0
    for batch in batches:
        columns = batch.schema.names
        if len(set(columns)) < len(columns):
            raise DataError(f"{name}: a column name stands twice among {', '.join(columns)}")
        for start in range(0, batch.num_rows, BATCH_ROWS):
            piece = batch.slice(start, BATCH_ROWS)
            try:
                rows = piece.to_pylist(maps_as_pydicts="strict")
            except UnicodeDecodeError:
                raise DataError(f"{name}{_not_text(piece, row)}") from None
            yield from rows
            row += piece.num_rows


def _not_text(batch: pa.RecordBatch, row: int) -> str:
    """The row, from `row` on, and the column of a text that is no UTF-8."""
    import pyarrow as pa

    for column, values in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            for offset, raw in enumerate(values.cast(pa.large_binary()).to_pylist()):
                try:
                    (raw or b"").decode()
                except UnicodeDecodeError as bad:
                    return f", row {row + offset}, column {column!r}: not UTF-8 at byte {bad.start}"
    return f", rows from {row} on: a text is not UTF-8"
