"""Writes files whole or not at all, and locates regimen's cache. A leaf like `errors`: every module may use it."""

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
    """Deletes the half-written files of a killed process; no other process may be writing in the folder."""
    for path in folder.glob(".*.tmp"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file atomically."""
    write_atomically(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))


def write_once(path: Path, text: str) -> bool:
    """Writes a new text file, whole and durably; returns False and changes nothing where it exists already."""
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
    """Flushes a folder's entries to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically, indented, keys as given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def why_unwritable(fault: BaseException) -> str | None:
    """One sentence if an exception means that a disk is full or not writable; None for all others.

    Looks at the message too, since libraries in other languages raise types of their own.
    """
    number = getattr(fault, "errno", None)
    words = str(fault)
    name = getattr(fault, "filename", None)
    where = f" ({name})" if name else ""
    if number in (errno.ENOSPC, errno.EDQUOT) or "No space left on device" in words or "disk is full" in words:
        return f"the disk is full{where}; free some space, then the same command resumes where it stopped"
    if number == errno.EROFS or "Read-only file system" in words or "readonly database" in words:
        return f"the folder is on a disk that is mounted read-only{where}; choose another --out or remount it"
    if number in (errno.EACCES, errno.EPERM):
        return f"this user may not write there{where}; choose another --out or change its permissions"
    return None


def cache_home() -> Path:
    """The folder of regimen's cache: $REGIMEN_CACHE, or regimen in the user's cache folder."""
    chosen = os.environ.get("REGIMEN_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regimen"
