"""Where rows come from: the package's miniature, a mirror folder, a user's files, or the Hub.

Owns finding the files of a source, by name, pattern or folder, and reading them one row after another, so that memory
stays bounded. Does not know formats (`data.readers`), prompts, cleaning or tokens. Paths are never part of a result's
identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from regimen.data.own_files import OwnFiles, own_files
from regimen.data.readers import file_rows, remark
from regimen.data.row import Row
from regimen.errors import SourceMissing
from regimen.study.sources import TEST_FILES, VALIDATION_FILES, Side, Source

SUFFIXES = (".jsonl", ".parquet", ".csv", ".json")  # of a mirror's files


@dataclass(frozen=True)
class Where:
    """The places to look in: `data` is a mirror folder (then the network is not used), `here` the study's folder."""

    origin: str = "hub"
    data: Path | None = None
    here: Path | None = None


@dataclass(frozen=True)
class Part:
    """One file (in one piece or several, read one after another) or table of a source; `name` is for messages.

    `names` are those of the files of a pattern or folder, whose rows are counted file by file; without them all pieces
    are counted through. `field` is the key of the list that holds a JSON file's rows.
    """

    name: str
    paths: tuple[Path, ...] = ()
    names: tuple[str, ...] = ()
    field: str | None = None
    skipped: str | None = None
    hub: tuple[str, str | None, str, str, bool] | None = None
    table: tuple[str, str | None, str] | None = None


def parts_of(source_name: str, source: Source, split: str, where: Where) -> list[Part]:
    """The files, tables or Hub splits that hold `split`; raises SourceMissing naming where it was looked for."""
    if source.files:
        return _own_parts(source_name, source, split, where)
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
            field=source.field,
            hub=(source.hub, config, split, source.revision, source.parquet_branch),
        )
        for config in source.configs
    ]


def rows_of(parts: list[Part]) -> Iterator[tuple[str, int, Row]]:
    """(part or file name, row number from 0, row) over all parts; raises DataError for what cannot be read."""
    for part in parts:
        for name, path in zip(part.names, part.paths, strict=bool(part.names)):
            for number, row in enumerate(file_rows(name, path, part.field, is_document=True)):
                yield name, number, row
        if not part.names:
            for number, row in enumerate(_rows(part)):
                yield part.name, number, row


def remarks(parts: list[Part]) -> list[str]:
    """Notes for people: guesses about the files' layouts, and the files of a folder that are not read."""
    said = [part.skipped for part in parts if part.skipped]
    for part in parts:
        for name, path in list(zip(part.names or [part.name], part.paths, strict=False))[:1]:
            if not (part.names and path.suffix == ".txt") and (note := remark(name, path)):
                said.append(note)
    return said


def _own_parts(source_name: str, source: Source, split: str, where: Where) -> list[Part]:
    folders = [folder for folder in (where.data, where.here) if folder] + [Path()]
    sides: dict[str, Side] = {TEST_FILES: "test", VALIDATION_FILES: "validation"}
    side = sides.get(split, "train")
    names = source.files_of(side)
    parts = [_own_part(own_files(source_name, name, folders), source.field) for name in names]
    elsewhere = source.test_files if side != "test" else ()
    elsewhere += source.validation.files if side == "train" and source.validation else ()
    if not elsewhere:
        return parts
    held_out = {path for name in elsewhere for path in own_files(source_name, name, folders).paths}
    parts = [_without(part, held_out) for part in parts]
    if not any(part.paths for part in parts):
        raise SourceMissing(f"source {source_name!r}: all files of {', '.join(names)} are held out")
    return [part for part in parts if part.paths]


def _own_part(files: OwnFiles, field: str | None) -> Part:
    return Part(files.name, files.paths, files.names, field, files.skipped)


def _without(part: Part, held_out: set[Path]) -> Part:
    """A pattern or folder without the files that are tested on or validated on."""
    left = [(name, path) for name, path in zip(part.names, part.paths, strict=False) if path not in held_out]
    if not part.names or len(left) == len(part.names):
        return part
    note = f"{part.name}: {len(part.names) - len(left)} of its files are held out and not trained on"
    said = f"{part.skipped}; {note}" if part.skipped else note
    return replace(part, names=tuple(n for n, _ in left), paths=tuple(p for _, p in left), skipped=said)


def _slash(config: str | None) -> str:
    return f"{config}/" if config else ""


def _mirrored(source_name: str, source: Source, config: str | None, split: str, data: Path) -> Part:
    hub = source.hub or ""
    folders = [data / hub / config] if config else []
    for folder in [*folders, data / hub]:
        for suffix in SUFFIXES:
            path = folder / f"{split}{suffix}"
            if path.is_file():
                return Part(str(path.relative_to(data)), (path,), field=source.field)
            shards = sorted(folder.glob(f"{split}-[0-9]*-of-[0-9]*{suffix}"))
            if shards:
                return Part(str(path.relative_to(data)), tuple(shards), field=source.field)
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
            yield from file_rows(part.name if len(part.paths) == 1 else path.name, path, part.field)
    else:
        assert part.hub is not None
        yield from _hub_rows(*part.hub, part.field)


def _hub_rows(
    hub: str, config: str | None, split: str, revision: str, parquet_branch: bool, field: str | None
) -> Iterator[Row]:
    from regimen.data.hub_files import HubTable, hub_rows

    yield from hub_rows(HubTable(hub, config, revision, parquet_branch), split, field)
