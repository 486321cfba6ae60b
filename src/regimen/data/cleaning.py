"""Which rows may be used: no row twice, no test row in training, every drop accounted for.

Owns normalised text, the split by hash of the group, and the ledger of drops. Does not know templates or tokens.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_URL = re.compile(r"(?:https?://|www\.)\S+")
_TICKER = re.compile(r"\$[A-Za-z]{1,6}(?:[.-][A-Za-z]{1,3})?\b")
_BLANKS = re.compile(r"\s+")


def normalised(text: str) -> str:
    """The text without case, URLs, tickers ($AAPL) and differences in blanks."""
    if "://" in text or "www." in text:
        text = _URL.sub(" ", text)
    if "$" in text:
        text = _TICKER.sub(" ", text)
    return _BLANKS.sub(" ", text).strip().casefold()


def digest(text: str) -> bytes:
    """8 bytes of the hash of a text; two different texts of a corpus of 10 million collide with p < 3e-6."""
    return hashlib.blake2b(text.encode("utf-8", errors="surrogatepass"), digest_size=8).digest()


def is_held_out(group: str, share: float) -> bool:
    """Whether the group lies in the held-out share: a function of its normalised text alone, so it never moves."""
    return int.from_bytes(digest("held out/" + normalised(group)), "big") < share * 2**64


@dataclass
class Ledger:
    """Every dropped row, with its reason; written beside the result."""

    rows: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)

    def drop(self, part: str, row: int, reason: str, detail: str = "") -> None:
        """Notes that row `row` of `part` is not used."""
        self.entries.append({"file": part, "row": row, "reason": reason, "detail": detail[:200]})

    @property
    def counts(self) -> dict[str, int]:
        """Dropped rows by reason."""
        return dict(sorted(Counter(entry["reason"] for entry in self.entries).items()))

    def write(self, path: Path) -> None:
        """One JSON object a line."""
        import json

        lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in self.entries)
        path.write_text("".join(lines), encoding="utf-8")


class Seen:
    """Remembers texts by hash."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def add(self, text: str) -> bool:
        """True if the normalised text is new."""
        key = digest(normalised(text))
        if key in self._digests:
            return False
        self._digests.add(key)
        return True


class TestTexts:
    """The normalised texts of all test items, to keep them out of training."""

    __test__ = False

    def __init__(self, texts: Iterable[tuple[str, str]] = ()):
        self._by_digest: dict[bytes, str] = {}
        for task, text in texts:
            if text:
                self._by_digest[digest(normalised(text))] = task

    def find(self, text: str) -> str | None:
        """The task of which this training text is a test item, if any."""
        return self._by_digest.get(digest(normalised(text)))
