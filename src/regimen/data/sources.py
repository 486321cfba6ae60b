"""Where rows come from: the package's miniature, a mirror folder, a user's files, or the Hub.

Owns finding the files of a source and reading them as plain rows through the `datasets` library, streaming, so that
memory stays bounded. Does not know prompts, cleaning or tokens. Paths are never part of a result's identity.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimen.errors import DataError, SourceMissing
from regimen.study.sources import Source

BATCH_ROWS = 512
SUFFIXES = (".jsonl", ".parquet", ".csv", ".json")
_BUILDERS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Where:
    """Where to look: `data` is a mirror folder (then the network is never used), `here` the study file's folder."""

    origin: str = "hub"
    data: Path | None = None
    here: Path | None = None


@dataclass(frozen=True)
class Part:
    """One file (in one piece or several, read one after another) or table of a source; `name` is for messages."""

    name: str
    paths: tuple[Path, ...] = ()
    hub: tuple[str, str | None, str, str, bool] | None = None
    table: tuple[str, str | None, str] | None = None


def parts_of(source_name: str, source: Source, split: str, where: Where) -> list[Part]:
    """The files, tables or Hub splits that hold `split`; raises SourceMissing naming where it was looked for."""
    if source.files:
        return [_own_file(source_name, source, name, where) for name in source.files]
    assert source.hub is not None
    if where.data is not None:
        return [_mirrored(source_name, source.hub, config, split, where.data) for config in source.configs]
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
            return Part(name, paths=(candidate,))
    looked = ", ".join(str(folder) for folder in (where.data, where.here) if folder) or "the current folder"
    raise SourceMissing(f"source {source_name!r}: no file {name!r} in {looked}")


def _mirrored(source_name: str, hub: str, config: str | None, split: str, data: Path) -> Part:
    folders = [data / hub / config] if config else []
    for folder in [*folders, data / hub]:
        for suffix in SUFFIXES:
            path = folder / f"{split}{suffix}"
            if path.is_file():
                return Part(str(path.relative_to(data)), paths=(path,))
            shards = sorted(folder.glob(f"{split}-[0-9]*-of-[0-9]*{suffix}"))
            if shards:
                return Part(str(path.relative_to(data)), paths=tuple(shards))
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
            yield from _file_rows(part.name if len(part.paths) == 1 else path.name, path)
    else:
        assert part.hub is not None
        yield from _hub_rows(*part.hub)


def _file_rows(name: str, path: Path) -> Iterator[Row]:
    from datasets import load_dataset

    if path.suffix not in _BUILDERS:
        raise DataError(f"{name}: a {path.suffix or 'nameless'} file is not read; use {', '.join(SUFFIXES)}")
    if path.stat().st_size == 0:
        raise DataError(f"{name}: the file is empty")
    try:
        dataset = load_dataset(_BUILDERS[path.suffix], data_files=[str(path)], split="train", streaming=True)
        yield from _unbatched(dataset)
    except (DataError, GeneratorExit):
        raise
    except Exception as fault:  # datasets wraps the readers' own errors in many types
        raise DataError(_pinpointed(name, path, fault)) from None


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


def _pinpointed(name: str, path: Path, fault: Exception) -> str:
    """The row and the fault of a file that `datasets` refuses, found by reading it line by line."""
    if path.suffix != ".jsonl":
        return f"{name}: cannot be read ({str(fault).splitlines()[0][:200]})"
    types: dict[str, tuple[type, int]] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError as bad:
                return f"{name}, line {number}: not UTF-8 at byte {bad.start} (0x{line[bad.start]:02x})"
            except json.JSONDecodeError as bad:
                cut = "" if line.endswith(b"\n") else "; the file ends inside this line (was it cut short?)"
                return f"{name}, line {number}: not JSON: {bad.msg} at column {bad.colno}{cut}"
            if not isinstance(row, dict):
                return f"{name}, line {number}: a {type(row).__name__}, not an object with columns"
            for column, value in row.items():
                kind = float if type(value) is int else type(value)
                first = types.setdefault(column, (kind, number))
                if value is not None and first[0] is not type(None) and first[0] is not kind:
                    shown = repr(value)[:60]
                    return (
                        f"{name}, line {number}, column {column!r}: {shown} is a {type(value).__name__}, "
                        f"line {first[1]} holds a {first[0].__name__}"
                    )
    return f"{name}: cannot be read ({str(fault).splitlines()[0][:200]})"
