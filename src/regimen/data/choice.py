"""Some of many, chosen by hash, classes in turn: the order of a file, sorted or not, decides nothing.

Owns the choice and the hash of a row's place. Memory holds about twice what is chosen, however many are looked at.
Does not know rows, forms or why some are chosen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T", int, tuple[bytes, int, Any])
SLACK = 256  # more than twice what is chosen is kept by so many, so that small choices are not cut at every step


def place_hash(part: str, number: int) -> int:
    """64 bits that stand for a row by its place: the same in every stage and for every seed of training."""
    text = f"limit/{part}/{number}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


class InTurn(Generic[T]):
    """The `most` that come first in order, classes in turn: as many of each class as of any other, as far as it has.

    What is added begins with its hash, by which it is ordered.
    """

    def __init__(self, most: int):
        self.most = most
        self._classes: dict[int, list[T]] = {}
        self._held = 0

    def add(self, kind: int, one: T) -> None:
        """One of class `kind` (-1 where there are no classes)."""
        self._classes.setdefault(kind, []).append(one)
        self._held += 1
        if self._held > 2 * self.most + SLACK:
            self._cut()

    def by_class(self) -> Mapping[int, Sequence[T]]:
        """The chosen rows of each class, in order."""
        self._cut()
        return self._classes

    def _cut(self) -> None:
        """A class's quota never rises when more are added, so what is over it can go at once."""
        for kind, quota in quotas({kind: len(held) for kind, held in self._classes.items()}, self.most).items():
            held = self._classes[kind]
            held.sort()
            del held[quota:]
        self._held = sum(map(len, self._classes.values()))


def quotas(counts: Mapping[int, int], most: int) -> dict[int, int]:
    """The number taken of each class where classes take turns; the first classes take one more."""
    taken = dict.fromkeys(counts, 0)
    left = most
    for number, kind in enumerate(sorted(counts, key=lambda kind: counts[kind])):
        share = left // (len(counts) - number)
        if counts[kind] > share:  # as have all that follow
            break
        taken[kind] = counts[kind]
        left -= counts[kind]
    else:
        return taken
    longer = sorted(kind for kind in counts if counts[kind] > share)
    each, more = divmod(left, len(longer))
    return {**taken, **{kind: each + (place < more) for place, kind in enumerate(longer)}}
