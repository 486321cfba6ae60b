"""Chance that is the same everywhere: draws that depend on a seed text and on nothing else.

Owns how a draw is made. Knows no words and no tables. Only `random.Random.random` is used of the standard
library's generator, since that alone is promised to stay the same across Python versions.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Chance:
    """A stream of draws, seeded by the texts of `parts`."""

    def __init__(self, *parts: object) -> None:
        digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
        self._draw = random.Random(int.from_bytes(digest, "big")).random

    def below(self, limit: int) -> int:
        """An integer from 0 to limit - 1."""
        return int(self._draw() * limit)

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + self.below(high - low + 1)

    def yes(self, probability: float) -> bool:
        return self._draw() < probability

    def sign(self) -> int:
        return 1 if self._draw() < 0.5 else -1

    def pick(self, items: Sequence[Item]) -> Item:
        return items[int(self._draw() * len(items))]

    def weighted(self, weights: Mapping[Item, float]) -> Item:
        """A key, drawn in proportion to its weight."""
        items = list(weights)
        rest = self._draw() * sum(weights.values())
        for item in items[:-1]:
            rest -= weights[item]
            if rest < 0:
                return item
        return items[-1]

    def shuffled(self, items: Iterable[Item]) -> list[Item]:
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def sample(self, items: Sequence[Item], count: int) -> list[Item]:
        """`count` different items, in random order."""
        return self.shuffled(items)[:count]
