"""The one value that data hands to the engine.

Owns the shape of a training batch. Does not know where its tokens come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StepBatch:
    """One optimiser step's blocks: arrays of shape (sequences, block).

    `positions` restart at 0 where a segment begins; attention never crosses such a start. `loss` marks the tokens
    that are predicted (from the token before them in their segment). `lengths` counts the real tokens of each block,
    padding stands after them.
    """

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    loss: NDArray[np.bool_]
    lengths: NDArray[np.int32]

    @property
    def loss_tokens(self) -> int:
        """The number of predicted tokens: the denominator of the mean loss."""
        return int(self.loss.sum())

    @property
    def tokens_used(self) -> int:
        """The number of tokens that are not padding."""
        return int(self.lengths.sum())


class BatchStream(Protocol):
    """Batches by step: a pure function of the step, the same in any process and any order."""

    def batch(self, step: int) -> StepBatch:
        """The batch of optimiser step `step`, counted from 0."""
        ...
