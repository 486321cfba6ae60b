"""Files that are whole or not there, and where regimen's cache is. A leaf like `errors`: all may use it."""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write` with a temporary path beside `path`, flushes it to disk and renames it into place."""
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write(scratch)
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def drop_unfinished(folder: Path) -> None:
    """Deletes what a killed process left half-written in a folder; nobody else may be writing there."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file atomically."""
    write_atomically(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))


def write_once(path: Path, text: str) -> bool:
    """Writes a text file that must not be there yet, whole, durably; False, and nothing changed, if it is there."""
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        scratch.write_text(text, encoding="utf-8")
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        try:
            os.link(scratch, path)
        except FileExistsError:
            return False
        except OSError:  # a filesystem without hard links
            os.replace(scratch, path)
        sync_folder(path.parent)
    finally:
        scratch.unlink(missing_ok=True)
    return True


def sync_files(folder: Path) -> None:
    """Flushes the files of a folder to disk."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flushes a folder's list of names to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically, indented, keys as given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def why_unwritable(fault: BaseException) -> str | None:
    """One sentence if an exception says that a disk is full or cannot be written to; None for all others.

    Libraries written in other languages raise types of their own, so their words count too.
    """
    number = getattr(fault, "errno", None)
    words = str(fault)
    name = getattr(fault, "filename", None)
    where = f" ({name})" if name else ""
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in words or "disk is full" in words:
        return f"the disk is full{where}; free some space, then the same command goes on where it stopped"
    if number == errno.EROFS or "Read-only file system" in words or "readonly database" in words:
        return f"the folder is on a disk that is mounted read-only{where}; choose another --out or remount it"
    if number in (errno.EACCES, errno.EPERM):
        return f"this user may not write there{where}; choose another --out or change its permissions"
    return None


def cache_home() -> Path:
    """Where regimen keeps what can be made again: $REGIMEN_CACHE, or regimen in the user's cache folder."""
    chosen = os.environ.get("REGIMEN_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regimen"
