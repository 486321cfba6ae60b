"""Which training texts hold a test text: the same, inside a longer text, or with a few words changed.

Owns the comparison. Two texts are compared by their keys (case, URLs, tickers, punctuation and blanks aside). A
training text holds a test text if the key of one stands inside the key of the other, or if all but a tenth of the
test text's words stand in one stretch of it. Does not know rows, sources or what is done about a hit.

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

from regimen.data.cleaning import normalised

GRAM = 8  # bytes looked for together; one unsigned 64-bit number
SHORTEST = 16  # bytes; a shorter key is compared whole and never looked for inside a longer text
FEWEST_WORDS = 3
NEAR_WORDS = 8  # a text of fewer words has no near twins
NEAR_SHARE = 10  # one word in so many may differ
MOST_PIECES = 8  # up to this many changed words, less one, are found for certain
_RARITY_BITS = 22
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_PUNCTUATION = "‘’“”«»–—…•·"
_BLANK, _NEWLINE = b" \n"
_BLANKED = bytes(c if chr(c).isalnum() or c >= 128 or c == _NEWLINE else _BLANK for c in range(256))


def keys_of(normals: Sequence[str]) -> list[bytes]:
    """The keys of normalised texts: their letters and digits, one blank wherever anything else stood."""
    if not normals:
        return []
    joined = "\n".join(normals)  # no normalised text holds one
    for mark in _PUNCTUATION:
        joined = joined.replace(mark, " ")
    raw = np.frombuffer(joined.encode("utf-8", errors="replace").translate(_BLANKED), np.uint8)
    kept = raw != _BLANK
    kept[1:] |= raw[:-1] > _BLANK  # the first blank after a word
    return raw[kept].tobytes().replace(b" \n", b"\n").rstrip(b" ").split(b"\n")


@dataclass(frozen=True)
class TestText:
    """One test item's text; without `near` only the text itself is looked for, not one with other words."""

    __test__ = False

    task: str
    item: str
    text: str
    near: bool = True


@dataclass(frozen=True)
class Hit:
    """A test item that a training text holds; `how` is "same", "inside" or "near"."""

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
        tests = list(texts)
        for test, key in zip(tests, keys_of([normalised(test.text) for test in tests]), strict=True):
            if not key:
                continue
            number = self._number.setdefault(key, len(self._keys))
            if number == len(self._keys):
                self._keys.append(key)
                self._items.append([])
                self._near.append(False)
            self._near[number] |= test.near
            self._items[number].append((test.task, test.item))
        self._index()

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, normals: Sequence[str], groups: Sequence[str] = ()) -> list[list[Hit]]:
        """For each training text, normalised, the test items that it holds, and those that its group is, if given."""
        found = self._find(keys_of(normals))
        for row, key in enumerate(keys_of(groups)):
            number = self._number.get(key)
            if number is not None:
                found[row].setdefault(number, "same")
        return [[hit for number, how in row.items() for hit in self._hits(number, how)] for row in found]

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
        if begin >= start and begin + len(key) <= end and buffer.startswith(key, begin):
            return "inside"
        if not self._near[piece.text]:
            return None
        words = Counter(key.split())
        allowed = may_differ(words.total())
        if not allowed:
            return None
        margin = 12 * allowed
        stretch = buffer[max(start, begin - margin) : min(end, begin + len(key) + margin)]
        missing = words - Counter(stretch.split())
        return "near" if missing.total() <= allowed else None

    def _index(self) -> None:
        """Chooses the anchors: for each piece the run of eight bytes that is rarest among the test texts."""
        long = [n for n, key in enumerate(self._keys) if len(key) >= SHORTEST and key.count(b" ") + 1 >= FEWEST_WORDS]
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


def may_differ(words: int) -> int:
    """How many of a test text's words may be missing from a near twin."""
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
    """How common each run of eight bytes is among given texts; ties are broken by its letters' frequency."""

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
