"""Chooses the rows that may be used: no row twice, held-out groups aside, every drop accounted for.

Owns normalised text, the split by hash of the group, what was seen before, and the dropped rows. Does not know
templates, tokens or test items.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from regimen.files import write_atomically
from regimen.study.sources import Side

_ASCII = bytes(range(128))
_ASCII_BLANKS = bytes(32 if chr(c).isspace() else c for c in range(128)) + bytes(range(128, 256))


def normalised(text: str) -> str:
    """The text by which duplicates and sides are told: Unicode's compatibility form (NFKC), no case, single blanks."""
    raw = text.encode("utf-8", "surrogatepass")
    if not raw.isascii():
        others = raw.translate(None, _ASCII).decode("utf-8", "surrogatepass")
        composed = unicodedata.is_normalized("NFKC", text)
        if not composed or others.split() != [others] or others.casefold() != others:
            return _caseless(text)
    # the same on bytes, in half the time: what is not ASCII has neither case nor blanks
    return _one_blank(raw.lower().translate(_ASCII_BLANKS)).decode("utf-8", "surrogatepass")


def _caseless(text: str) -> str:
    """Folding case can undo the composed form and the other way round, so both are done until nothing changes."""
    before = ""
    while text != before:
        before = text
        text = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(text.split())


def _one_blank(text: bytes) -> bytes:
    """The text with one blank where there are several and none at its ends."""
    while b"  " in text:
        text = b" ".join(text.split(b"  "))  # faster than replace, which counts first
    return text.strip(b" ")


def digest(text: str) -> bytes:
    """8 bytes of the hash of a text; two different texts of a corpus of 10 million collide with p < 3e-6."""
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=8).digest()


def group_digest(group: str) -> str:
    """A group's name, normalised, as 16 hex digits."""
    return digest(normalised(group)).hex()


def side_of(group: str, test: float | None, validation: float | None) -> Side:
    """The side of a group where shares are cut off: `test` of all, then `validation` of the rest (None: no such side).

    It is a function of the group's normalised text and the shares alone, so no row moves when rows are added.
    """
    place = int.from_bytes(digest("held out/" + normalised(group)), "big")
    tested = test or 0.0
    if place < tested * 2**64:
        return "test"
    return "validation" if place < (tested + (validation or 0.0) * (1 - tested)) * 2**64 else "train"


class Drops:
    """Every dropped row, with its reason.

    Given a path, entries go to that file as they come (one JSON object a line: file, row, reason, detail, and what
    the caller adds), which appears whole at the end of the `with` block; without one they are kept in `entries`. `rows`
    counts the rows that were read, `counts` the dropped ones by reason.
    """

    def __init__(self, path: Path | None = None):
        self.rows = 0
        self.entries: list[dict[str, Any]] = []
        self._path = path
        self._scratch = path.with_name(f".{path.name}.part") if path else None
        self._file: TextIO | None = self._scratch.open("w", encoding="utf-8") if self._scratch else None
        self._counts: Counter[str] = Counter()

    def drop(self, part: str, row: int, reason: str, detail: str = "", **more: Any) -> None:
        """Notes that row `row` of `part` is not used."""
        self._counts[reason] += 1
        entry = {"file": part, "row": row, "reason": reason, "detail": detail[:200], **more}
        if self._file is None:
            self.entries.append(entry)
        else:
            self._file.write(json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace").decode() + "\n")

    @property
    def counts(self) -> dict[str, int]:
        """Dropped rows by reason."""
        return dict(sorted(self._counts.items()))

    def __enter__(self) -> Drops:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: object, trace: TracebackType | None) -> None:
        if self._file is None or self._path is None or self._scratch is None:
            return
        self._file.close()
        if kind is None:
            write_atomically(self._path, self._scratch.replace)
        self._scratch.unlink(missing_ok=True)


class Seen:
    """Remembers texts by 8 bytes of hash each: sorted runs of which each is at least twice the next, and a small set.

    So a corpus of 100 million rows costs 0.8 GB and not the tens a set of strings would.
    """

    BUFFER = 1 << 16

    def __init__(self) -> None:
        self._fresh: set[int] = set()
        self._runs: list[NDArray[np.uint64]] = []

    def add(self, text: str) -> bool:
        """True if the normalised text is new."""
        return self.add_normalised(normalised(text))

    def add_normalised(self, normal: str) -> bool:
        """True if this text, normalised already, is new."""
        key = int.from_bytes(digest(normal), "little")
        if key in self._fresh or any(_holds(run, key) for run in self._runs):
            return False
        self._fresh.add(key)
        if len(self._fresh) >= self.BUFFER:
            self._settle()
        return True

    def _settle(self) -> None:
        run = np.sort(np.fromiter(self._fresh, np.uint64, len(self._fresh)))
        self._fresh.clear()
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]))
        self._runs.append(run)


def _holds(run: NDArray[np.uint64], key: int) -> bool:
    place = int(run.searchsorted(np.uint64(key)))
    return place < len(run) and int(run[place]) == key
