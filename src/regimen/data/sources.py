"""Where rows come from: the package's miniature, a mirror folder, a user's files, or the Hub.

Owns finding the files of a source and reading them as plain rows through the `datasets` library, streaming, so that
memory stays bounded. Does not know prompts, cleaning or tokens. Paths are never part of a result's identity.
"""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimen.data.faults import pinpointed
from regimen.errors import DataError, SourceMissing
from regimen.study.sources import TEST_FILES, Source

BATCH_ROWS = 512
SUFFIXES = (".jsonl", ".parquet", ".csv", ".json")
MOST_CELL = 1 << 30  # characters of one CSV cell; Python's own limit of 131,072 is less than a long document
_BUILDERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": ""}

Row = dict[str, Any]


@dataclass(frozen=True)
class Where:
    """Where to look: `data` is a mirror folder (then the network is never used), `here` the study file's folder."""

    origin: str = "hub"
    data: Path | None = None
    here: Path | None = None


@dataclass(frozen=True)
class Part:
    """One file (in one piece or several, read one after another) or table of a source; `name` is for messages.

    `numbers` names the columns in which a CSV cell is read as a number where it is one.
    """

    name: str
    paths: tuple[Path, ...] = ()
    numbers: frozenset[str] = frozenset()
    hub: tuple[str, str | None, str, str, bool] | None = None
    table: tuple[str, str | None, str] | None = None


def parts_of(source_name: str, source: Source, split: str, where: Where) -> list[Part]:
    """The files, tables or Hub splits that hold `split`; raises SourceMissing naming where it was looked for."""
    if source.files:
        names = source.test_files if split == TEST_FILES else source.files
        return [_own_file(source_name, source, name, where) for name in names]
    assert source.hub is not None
    if where.data is not None:
        return [_mirrored(source_name, source, config, split, where.data) for config in source.configs]
    if where.origin == "miniature":
        return [
            Part(f"{source.hub}/{_slash(config)}{split} (miniature)", table=(source.hub, config, split))
            for config in source.configs
        ]
    return [
        Part(
            f"{source.hub}/{_slash(config)}{split}",
            hub=(source.hub, config, split, source.revision, source.parquet_branch),
        )
        for config in source.configs
    ]


def _numbers(source: Source) -> frozenset[str]:
    return frozenset() if source.form.label is None else frozenset({source.form.label.column})


def _parquet_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def _slash(config: str | None) -> str:
    return f"{config}/" if config else ""


def rows_of(parts: list[Part]) -> Iterator[tuple[str, int, Row]]:
    """(part name, row number from 0, row) over all parts; raises DataError for what cannot be read."""
    for part in parts:
        for number, row in enumerate(_rows(part)):
            yield part.name, number, row


def _own_file(source_name: str, source: Source, name: str, where: Where) -> Part:
    path = Path(name)
    for folder in (where.data, where.here, Path()):
        candidate = path if path.is_absolute() else (folder or Path()) / path
        if candidate.is_file():
            return Part(name, (candidate,), _numbers(source))
    looked = ", ".join(str(folder) for folder in (where.data, where.here) if folder) or "the current folder"
    raise SourceMissing(f"source {source_name!r}: no file {name!r} in {looked}")


def _mirrored(source_name: str, source: Source, config: str | None, split: str, data: Path) -> Part:
    hub = source.hub or ""
    folders = [data / hub / config] if config else []
    for folder in [*folders, data / hub]:
        for suffix in SUFFIXES:
            path = folder / f"{split}{suffix}"
            if path.is_file():
                return Part(str(path.relative_to(data)), (path,), _numbers(source))
            shards = sorted(folder.glob(f"{split}-[0-9]*-of-[0-9]*{suffix}"))
            if shards:
                return Part(str(path.relative_to(data)), tuple(shards), _numbers(source))
    wanted = (folders or [data / hub])[0] / f"{split}.jsonl"
    raise SourceMissing(
        f"source {source_name!r} is not in the mirror: no {wanted} (or .parquet); run `regimen mirror` to fetch it"
    )


def _rows(part: Part) -> Iterator[Row]:
    if part.table is not None:
        from regimen.data import miniature

        yield from (dict(row) for row in miniature.table(*part.table))
    elif part.paths:
        for path in part.paths:
            yield from _file_rows(part.name if len(part.paths) == 1 else path.name, path, part.numbers)
    else:
        assert part.hub is not None
        yield from _hub_rows(*part.hub)


def _file_rows(name: str, path: Path, numbers: frozenset[str]) -> Iterator[Row]:
    from datasets import load_dataset

    if path.suffix not in _BUILDERS:
        raise DataError(f"{name}: a {path.suffix or 'nameless'} file is not read; use {', '.join(SUFFIXES)}")
    if path.stat().st_size == 0:
        raise DataError(f"{name}: the file is empty")
    logging.getLogger("datasets").setLevel(logging.CRITICAL)  # what it logs of a fault is in our own sentence
    try:
        if path.suffix == ".csv":
            yield from _csv_rows(name, path, numbers)
            return
        if path.suffix == ".parquet" and not _parquet_rows(path):
            raise DataError(f"{name}: the file holds no row")
        dataset = load_dataset(_BUILDERS[path.suffix], data_files=[str(path)], split="train", streaming=True)
        yield from _unbatched(dataset)
    except (DataError, GeneratorExit):
        raise
    except Exception as fault:  # datasets wraps the readers' own errors in many types
        raise DataError(pinpointed(name, path, fault)) from None


def _csv_rows(name: str, path: Path, numbers: frozenset[str]) -> Iterator[Row]:
    """Cells as they stand, but numbers in the columns `numbers`: pandas, which `datasets` would ask, guesses types.

    By its guess "007" is 7, "NA" nothing, and one missing cell makes every class of the file a float.
    """
    csv.field_size_limit(MOST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise DataError(f"{name}, line 1: a column name stands twice among {', '.join(header)}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                where = f"{name}, line {reader.line_num}"
                raise DataError(f"{where}: {len(cells)} cells, the header names {len(header)} columns")
            yield {
                column: _number(cell) if column in numbers else cell for column, cell in zip(header, cells, strict=True)
            }


def _number(cell: str) -> Any:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(cell)
    return cell or None


def _hub_rows(hub: str, config: str | None, split: str, revision: str, parquet_branch: bool) -> Iterator[Row]:
    from datasets import load_dataset

    try:
        if parquet_branch:
            pattern = f"hf://datasets/{hub}@refs/convert/parquet/{config or 'default'}/{split}/*.parquet"
            dataset = load_dataset("parquet", data_files=pattern, split="train", streaming=True)
        else:
            dataset = load_dataset(hub, config, split=split, revision=revision, streaming=True)
        yield from _unbatched(dataset)
    except GeneratorExit:
        raise
    except Exception as fault:
        first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise SourceMissing(
            f"{hub} ({split}) cannot be read from the Hub: {first}; without a network use --data with a mirror"
        ) from None


def _unbatched(dataset: Any) -> Iterator[Row]:
    for batch in dataset.iter(batch_size=BATCH_ROWS):
        columns = list(batch)
        for values in zip(*(batch[column] for column in columns), strict=True):
            yield dict(zip(columns, values, strict=True))
