"""Finds training texts that hold a test text: the same, inside a longer text, or with a few words changed.

Owns the comparison. Two texts are compared by their keys (`data.keys`). A training text holds a test text if the two
are the same, if the key of the test text stands inside the other's, or if all but a tenth of the test text's words
stand in one stretch of it and what differs is no number and no negation: with those it is another text. Does not know
rows, forms or what is done about a hit.

How: each test text is cut into one piece more than words may differ, so that one piece must be whole; of each piece
one run of eight bytes, a rare one, is looked for at every position of the training text at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from regimen.data.cleaning import group_digest
from regimen.data.keys import FEWEST_WORDS, is_long, keys_of, loosened
from regimen.data.twins import is_telling_apart

GRAM = 8  # bytes looked for together; one unsigned 64-bit number
NEAR_WORDS = 8  # a text of fewer words has no near twins
NEAR_SHARE = 10  # one word in so many may differ
MOST_PIECES = 8  # up to this many changed words, less one, are found for certain
_RARITY_BITS = 22
_OF_NUMBERS = b"0123456789."  # a key holds a point in numbers alone
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class TestText:
    """One test item's text; without `near` only the text itself is looked for, not one with other words.

    `parts` are the values that the text was joined of, where it was: words may differ within a long part, a short
    part must stand there as it is. `source` is the item's own source: a text of one or two words, which many a row of
    another source is, is looked for in that source alone (None: in all). `group` is the digest of the item's group
    (`data.cleaning.group_digest`) where rows of its source may not be of it.
    """

    __test__ = False

    task: str
    item: str
    text: str
    near: bool = True
    parts: tuple[str, ...] = ()
    source: str | None = None
    group: str = ""


@dataclass(frozen=True)
class Hit:
    """A test item that a training row holds; `how` is "same", "inside", "near", or "group": it is only of its group."""

    task: str
    item: str
    how: str


@dataclass(frozen=True)
class _Piece:
    """One piece of a test text: its number, where the piece begins in its key, and how far into it the anchor is."""

    text: int
    start: int
    body: bytes
    anchor: int


class TestTexts:
    """The test texts of a study, ready to be looked for."""

    __test__ = False

    def __init__(self, texts: Iterable[TestText] = ()):
        self._items: list[list[tuple[str, str]]] = []
        self._keys: list[bytes] = []
        self._number: dict[bytes, int] = {}
        self._near: list[bool] = []
        self._parts: list[tuple[Counter[bytes], ...]] = []
        self._sources: list[set[str | None]] = []
        self._groups: dict[str, dict[str, Hit]] = {}
        tests = list(texts)
        for test, key in zip(tests, keys_of([loosened(test.text) for test in tests]), strict=True):
            if key.strip():
                self._add(test, key)
            if test.group and test.source is not None:
                self._groups.setdefault(test.source, {})[test.group] = Hit(test.task, test.item, "group")
        self._index()

    def _add(self, test: TestText, key: bytes) -> None:
        number = self._number.setdefault(key, len(self._keys))
        if number == len(self._keys):
            self._keys.append(key)
            self._items.append([])
            self._near.append(False)
            parts = keys_of([loosened(part) for part in test.parts]) if len(test.parts) > 1 else [key]
            self._parts.append(tuple(Counter(part.split()) for part in parts))
            self._sources.append(set())
        self._near[number] |= test.near
        self._sources[number].add(test.source)
        self._items[number].append((test.task, test.item))

    def __len__(self) -> int:
        return len(self._keys)

    def find(
        self, texts: Sequence[str], whole: Sequence[str] = (), source: str | None = None, *, near: bool = True
    ) -> list[list[Hit]]:
        """For each training text, loosened, the test items that it holds; without `near` no near twins.

        `whole` are the parts of these texts that may be a test text as a whole (a row's prompt of its prompt and
        answer), where they are not the texts themselves; `source` is the source that the texts are of.
        """
        found = self._find(keys_of(texts))
        for row, key in enumerate(keys_of(whole)):
            number = self._number.get(key)
            if number is not None:
                found[row][number] = "same"
        return [
            [
                hit
                for number, how in row.items()
                if (near or how != "near") and self._counts(number, source)
                for hit in self._hits(number, how)
            ]
            for row in found
        ]

    def has_groups(self, source: str) -> bool:
        """True if test items of this source have groups to be kept on their side."""
        return source in self._groups

    def find_groups(self, source: str, groups: Sequence[str]) -> list[list[Hit]]:
        """For each group of a row of `source`, a test item of that source which is of the same group."""
        known = self._groups.get(source, {})
        return [[hit] if (hit := known.get(group_digest(group))) else [] for group in groups]

    def _counts(self, number: int, source: str | None) -> bool:
        """True if a hit counts: one or two words count only in the source that they are tested on."""
        sources = self._sources[number]
        long = self._keys[number].count(b" ") + 1 >= FEWEST_WORDS
        return long or source is None or None in sources or source in sources

    def _find(self, keys: Sequence[bytes]) -> list[dict[int, str]]:
        """For each key, how it holds which test texts."""
        found: list[dict[int, str]] = [{} for _ in keys]
        for row, key in enumerate(keys):
            number = self._number.get(key)
            if number is not None:
                found[row][number] = "same"
        if len(self._anchors):
            buffer = b"\n".join(keys)
            starts = [0, *accumulate(len(key) + 1 for key in keys)]
            for place, row, first, last in self._places(buffer, starts):
                start, end = starts[row], starts[row + 1] - 1
                for piece in self._pieces[first:last]:
                    if found[row].get(piece.text, "near") == "near":
                        how = self._compare(buffer, start, end, place, piece)
                        if how:
                            found[row][piece.text] = how
        return found

    def _hits(self, number: int, how: str) -> list[Hit]:
        return [Hit(task, item, how) for task, item in self._items[number]]

    def _places(self, buffer: bytes, starts: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
        """(place, the row it lies in, first piece, last piece) wherever an anchor stands."""
        if len(buffer) < GRAM:
            return
        grams = _grams(buffer)
        maybe = np.flatnonzero(self._filter.take(_spread(grams, self._bits)))
        values = grams[maybe]
        first = np.searchsorted(self._anchors, values, "left")
        hit = self._anchors[np.minimum(first, len(self._anchors) - 1)] == values
        last = np.searchsorted(self._anchors, values[hit], "right")
        places = maybe[hit]
        rows = np.searchsorted(np.asarray(starts), places, "right") - 1
        yield from zip(places.tolist(), rows.tolist(), first[hit].tolist(), last.tolist(), strict=True)

    def _compare(self, buffer: bytes, start: int, end: int, place: int, piece: _Piece) -> str | None:
        if not buffer.startswith(piece.body, place - piece.anchor):
            return None
        key = self._keys[piece.text]
        begin = place - piece.anchor - piece.start
        last = begin + len(key)
        whole = not (_splits_number(buffer, begin) or _splits_number(buffer, last))  # box 1 is not in box 12 or 1.5
        if begin >= start and last <= end and whole and buffer.startswith(key, begin):
            return "inside"
        if not self._near[piece.text]:
            return None
        allowed = may_differ(key.count(b" ") + 1)
        if not allowed:
            return None
        margin = 12 * allowed
        stretch = buffer[max(start, begin - margin) : min(end, begin + len(key) + margin)].split()
        there = Counter(stretch)
        if any((part - there).total() > may_differ(part.total()) for part in self._parts[piece.text]):
            return None
        return None if is_telling_apart(key.split(), stretch) else "near"

    def _index(self) -> None:
        """Chooses the anchors: for each piece the run of eight bytes that is rarest among the test texts."""
        long = [number for number, key in enumerate(self._keys) if is_long(key)]
        scores = _Rarity(self._keys[number] for number in long)
        values: list[int] = []
        pieces: list[_Piece] = []
        for number in long:
            key = self._keys[number]
            score, grams = scores.of(key), _grams(key)
            for start, end in _cut(key):
                anchor = int(score[start : end - GRAM + 1].argmin())
                values.append(int(grams[start + anchor]))
                pieces.append(_Piece(number, start, key[start:end], anchor))
        anchors = np.array(values, dtype=np.uint64)
        order = np.argsort(anchors, kind="stable")
        self._anchors: NDArray[np.uint64] = anchors[order]
        self._pieces = [pieces[i] for i in order]
        self._bits = min(24, max(12, len(values).bit_length() + 5))  # one slot in 32 or fewer is taken
        self._filter = np.zeros(1 << self._bits, dtype=np.bool_)
        self._filter[_spread(self._anchors, self._bits)] = True


def _splits_number(buffer: bytes, edge: int) -> bool:
    """Whether digits, or a digit and the point of a number, stand on the two sides of an edge."""
    beside = buffer[edge - 1 : edge + 1] if edge > 0 else b""
    return len(beside) == 2 and all(byte in _OF_NUMBERS for byte in beside)


def may_differ(words: int) -> int:
    """The number of a test text's words that may be missing from a near twin."""
    return 0 if words < NEAR_WORDS else max(1, words // NEAR_SHARE)


def _cut(key: bytes) -> list[tuple[int, int]]:
    """The pieces of a key as byte ranges, each of whole words and long enough for an anchor."""
    ends = [*np.flatnonzero(np.frombuffer(key, np.uint8) == 32).tolist(), len(key)]
    starts = [0, *(end + 1 for end in ends[:-1])]
    count = min(MOST_PIECES, may_differ(len(ends)) + 1)
    edges = [len(ends) * number // count for number in range(count + 1)]
    pieces = [(starts[a], ends[b - 1]) for a, b in pairwise(edges)]
    return [(a, b) for a, b in pieces if b - a >= GRAM] or [(0, len(key))]


def _grams(buffer: bytes) -> NDArray[np.uint64]:
    """The eight bytes at every position of a buffer as one number each; a view."""
    return np.ndarray((len(buffer) - GRAM + 1,), "<u8", buffer, strides=(1,))


def _spread(grams: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    """A number of `bits` bits for each gram."""
    return ((grams * _SPREAD) >> np.uint64(64 - bits)).view(np.int64)


class _Rarity:
    """Counts each run of eight bytes among given texts; ties are broken by its letters' frequency."""

    CHUNK = 2000

    def __init__(self, keys: Iterable[bytes]):
        self._counts = np.zeros(1 << _RARITY_BITS, dtype=np.uint32)
        letters = np.ones(256)
        chunk: list[bytes] = []
        for key in keys:
            chunk.append(key)
            if len(chunk) == self.CHUNK:
                letters += self._count(b"\n".join(chunk))
                chunk = []
        letters += self._count(b"\n".join(chunk))
        self._letters = letters / letters.sum() / GRAM

    def _count(self, buffer: bytes) -> NDArray[np.int64]:
        if len(buffer) >= GRAM:
            values, counts = np.unique(_spread(_grams(buffer), _RARITY_BITS), return_counts=True)
            self._counts[values] += counts.astype(np.uint32)
        return np.bincount(np.frombuffer(buffer, np.uint8), minlength=256)

    def of(self, key: bytes) -> NDArray[np.float64]:
        """For each position of a key, the lower the rarer."""
        letters = np.convolve(self._letters[np.frombuffer(key, np.uint8)], np.ones(GRAM), "valid")
        return letters + self._counts[_spread(_grams(key), _RARITY_BITS)].astype(np.float64)
