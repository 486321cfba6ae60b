"""A user's files as a study names them: one file, a pattern such as `data/**/*.txt`, or a folder.

Owns which files a name means, in which order, and which of a folder are not read. Does not read rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from regimen.data.opening import kind_of
from regimen.data.readers import DOCUMENTS, is_read
from regimen.data.table_rows import saved_files
from regimen.errors import SourceMissing

PATTERN_MARKS = "*?["


@dataclass(frozen=True)
class OwnFiles:
    """The files of one name in a study; `names` are there where it is a pattern or a folder, one for each path.

    They begin in the study's folder, or below the folder that a name from the root fixes. `skipped` counts the files of
    a folder that are not read.
    """

    name: str
    paths: tuple[Path, ...]
    names: tuple[str, ...] = ()
    skipped: str | None = None


def own_files(source_name: str, name: str, folders: Sequence[Path]) -> OwnFiles:
    """The files that `name` means, looked for in `folders` in turn; raises SourceMissing where there are none."""
    for folder in folders:
        path = folder / name  # an absolute name stays what it is
        if path.is_file():
            return OwnFiles(name, (path,))
        if path.is_dir():
            if saved := saved_files(path, name):
                return OwnFiles(name, saved)
            return _of_folder(source_name, name, folder, path.rglob("*"))
        if any(mark in name for mark in PATTERN_MARKS) and (found := _matches(folder, name)):
            return _of_folder(source_name, name, folder, found)
    looked = ", ".join(str(folder) for folder in folders if folder != Path()) or "the current folder"
    what = "file matches" if any(mark in name for mark in PATTERN_MARKS) else "file"
    raise SourceMissing(f"source {source_name!r}: no {what} {name!r} in {looked}")


def _matches(folder: Path, pattern: str) -> list[Path]:
    whole = Path(pattern)
    try:
        if whole.is_absolute():
            return list(Path(whole.anchor).glob(str(whole.relative_to(whole.anchor))))
        return list(folder.glob(pattern))
    except ValueError:  # "**" joined to other letters
        return []


def _of_folder(source_name: str, name: str, folder: Path, found: Iterable[Path]) -> OwnFiles:
    """The readable files among those that were found, in the order of their names, hidden ones left out."""
    files: dict[str, Path] = {}
    fixed = _fixed_folder(name) if Path(name).is_absolute() else folder
    for path in found:
        shown = path.relative_to(fixed) if path.is_relative_to(fixed) else path
        if path.is_file() and not any(part.startswith(".") and part != ".." for part in shown.parts):
            files[shown.as_posix()] = path
    read = {shown: files[shown] for shown in sorted(files) if is_read(files[shown])}
    others = Counter(path.suffix or "nameless" for path in files.values() if not is_read(path))
    if not read:
        kinds = f" ({', '.join(sorted(others))})" if others else ""
        raise SourceMissing(f"source {source_name!r}: none of the files of {name!r}{kinds} is of a kind that is read")
    kinds = sorted({kind_of(path) for path in read.values()})
    if len({kind in DOCUMENTS for kind in kinds}) > 1:
        raise SourceMissing(
            f"source {source_name!r}: {name!r} holds files of text and tables of rows ({', '.join(kinds)}); name one "
            f"kind by a pattern such as {name.split('*')[0].rstrip('/') or '.'}/**/*{kinds[0]}"
        )
    kinds_left = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items()))
    skipped = f"{name}: files that are not read: {kinds_left}" if others else None
    return OwnFiles(name, tuple(read.values()), tuple(read), skipped)


def _fixed_folder(pattern: str) -> Path:
    """The folder above the first part with a mark of a pattern."""
    folder = Path(pattern)
    while any(mark in str(folder) for mark in PATTERN_MARKS):
        folder = folder.parent
    return folder
