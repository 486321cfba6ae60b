"""The order of blocks: a pure function of (sources, weights, seed, step).

Owns the draw. Weights are shares of sequences, kept exactly in every window; inside an epoch of a source no block
is drawn twice; nothing is remembered from step to step, so a killed run needs no loader state. Does not know what a
block holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm

import numpy as np
from numpy.typing import NDArray

from regimen.data.batch import StepBatch
from regimen.data.blocks import BlockStore

WINDOW = 10_000  # the longest window in which shares are kept exactly


def quotas(weights: Mapping[str, float]) -> dict[str, int]:
    """The number of sequences of each source in one window: the smallest whole numbers in the weights' proportion.

    Proportions that need a window longer than 10,000 are rounded to it by largest remainder, at least one each.
    """
    exact = {name: Fraction(repr(float(weight))) for name, weight in weights.items()}
    total = sum(exact.values())
    shares = {name: weight / total for name, weight in exact.items()}
    window = lcm(*(share.denominator for share in shares.values()))
    if window <= WINDOW:
        counts = {name: int(share * window) for name, share in shares.items()}
        divisor = gcd(*counts.values())
        return {name: count // divisor for name, count in counts.items()}
    counts = {name: max(1, int(share * WINDOW)) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: (shares[name] * WINDOW) % 1, reverse=True)
    for name in by_remainder[: max(0, WINDOW - sum(counts.values()))]:
        counts[name] += 1
    return counts


class Draw:
    """For each sequence of a leg, its source and the number of times that source was drawn before."""

    def __init__(self, weights: Mapping[str, float], seed: int):
        self._counts = quotas(weights)
        self._names = tuple(self._counts)
        self._seed = seed
        self._window = sum(self._counts.values())
        self._slots = np.repeat(np.arange(len(self._names)), [self._counts[name] for name in self._names])
        self._shuffled = lru_cache(maxsize=64)(self._shuffle)

    def _shuffle(self, window: int) -> NDArray[np.int64]:
        return _generator(self._seed, "window", window).permutation(self._slots)

    def at(self, sequence: int) -> tuple[str, int]:
        """(source, earlier draws of it) of the leg's sequence number `sequence`, counted from 0."""
        window, offset = divmod(sequence, self._window)
        slots = self._shuffled(window)
        chosen = slots[offset]
        name = self._names[chosen]
        return name, window * self._counts[name] + int((slots[:offset] == chosen).sum())


class Mixture:
    """The batches of a leg: `sequences` blocks a step, drawn from `stores` by `weights`."""

    def __init__(self, stores: Mapping[str, BlockStore], weights: Mapping[str, float], sequences: int, seed: int):
        self._stores = dict(stores)
        self._sequences = sequences
        self._seed = seed
        self._draw = Draw(weights, seed)
        self._order = lru_cache(maxsize=2 * len(self._stores))(self._permutation)

    def _permutation(self, name: str, epoch: int) -> NDArray[np.int64]:
        return _generator(self._seed, name, epoch).permutation(len(self._stores[name]))

    def batch(self, step: int) -> StepBatch:
        """The batch of optimiser step `step`, counted from 0."""
        rows = []
        for sequence in range(step * self._sequences, (step + 1) * self._sequences):
            name, earlier = self._draw.at(sequence)
            epoch, place = divmod(earlier, len(self._stores[name]))
            rows.append(self._stores[name].block(int(self._order(name, epoch)[place])))
        return StepBatch(
            tokens=np.stack([row.tokens for row in rows]),
            positions=np.stack([row.positions for row in rows]),
            loss=np.stack([row.loss for row in rows]),
            lengths=np.array([row.length for row in rows], dtype=np.int32),
        )

    def epochs(self, steps: int) -> dict[str, float]:
        """The epochs of each source in `steps` steps."""
        window = sum(self._draw._counts.values())
        drawn = steps * self._sequences
        return {name: drawn * count / window / len(self._stores[name]) for name, count in self._draw._counts.items()}


def _generator(seed: int, what: str, number: int) -> np.random.Generator:
    digest = hashlib.blake2b(f"{seed}/{what}/{number}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
