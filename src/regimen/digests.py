"""Digests of files, each computed once while the file stays as it is. A leaf like `files`: all may use it.

Owns the memory of them: by path, size, times and inode, in this process and, where a store is given, in a JSON file.
Does not know what a file holds or whether it should be so.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path

from regimen.files import write_json

RACY = 50_000_000  # nanoseconds: a file so young may change again without another time stamp

Mark = tuple[int, int, int, int]


class Digests:
    """SHA-256 of files in hex. Entries that were not asked for are forgotten when the store is saved."""

    def __init__(self, store: Path | None = None):
        self._store = store
        self._known = _read(store)
        self._used: dict[str, tuple[Mark, str]] = {}
        self._fresh = False

    def of(self, path: Path) -> str:
        """The digest of a file; raises OSError where it cannot be read."""
        key, mark = str(path.absolute()), _mark(path)
        known = self._used.get(key) or self._known.get(key)
        if known is not None and known[0] == mark:
            self._used[key] = known
            return known[1]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _mark(path) == mark:
            self._keep(key, mark, digest)
        return digest

    def trust(self, path: Path, digest: str) -> None:
        """Takes a digest over from the process that wrote the file just now; raises OSError where it is not there."""
        self._keep(str(path.absolute()), _mark(path), digest)

    def _keep(self, key: str, mark: Mark, digest: str) -> None:
        if time.time_ns() - mark[1] > RACY:
            self._used[key] = (mark, digest)
            self._fresh = True

    def save(self) -> None:
        """Writes the store, if anything is new."""
        if self._store is not None and self._fresh:
            write_json(self._store, {key: [*mark, digest] for key, (mark, digest) in sorted(self._used.items())})
            self._fresh = False


def digest_of(text: str) -> str:
    """The SHA-256 of a text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def combined(parts: Iterable[tuple[str, str]]) -> str:
    """One digest of named digests, whatever their order."""
    return hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in sorted(parts)).encode()).hexdigest()


def _mark(path: Path) -> Mark:
    found = path.stat()
    return (found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)


def _read(store: Path | None) -> dict[str, tuple[Mark, str]]:
    """The entries of a store; none where it is not there or damaged: then files are read again."""
    if store is None:
        return {}
    try:
        plain = json.loads(store.read_text(encoding="utf-8"))
        return {key: ((int(a), int(b), int(c), int(d)), str(digest)) for key, (a, b, c, d, digest) in plain.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
