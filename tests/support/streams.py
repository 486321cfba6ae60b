"""Batches by formula, for tests of the engine without data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regimen.data.batch import StepBatch


@dataclass(frozen=True)
class Stream:
    """Random blocks, a pure function of (seed, step): packed segments, loss on a share of the tokens."""

    seed: int
    rows: int = 4
    block: int = 24
    vocabulary: int = 97
    share: float = 0.5

    def batch(self, step: int) -> StepBatch:
        rng = np.random.default_rng([self.seed, step])
        shape = (self.rows, self.block)
        cuts = rng.integers(1, self.block - 1, self.rows)
        lengths = rng.integers(self.block // 2, self.block + 1, self.rows).astype(np.int32)
        column = np.arange(self.block)
        positions = np.where(column < cuts[:, None], column, column - cuts[:, None]).astype(np.int32)
        padding = column >= lengths[:, None]
        positions = np.where(padding, column - lengths[:, None], positions).astype(np.int32)
        loss = (rng.random(shape) < self.share) & (positions > 0) & ~padding
        loss[:, 1] = positions[:, 1] > 0
        tokens = rng.integers(1, self.vocabulary, shape, dtype=np.int32)
        return StepBatch(tokens, positions, loss, lengths)
