"""A member's state from step to step. Knows nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Kept:
    """The weights (P,) of the best step so far, the step, and its value on validation rows (less is better)."""

    row: Tensor
    step: int
    value: float


@dataclass
class MemberState:
    """All that a member carries from step to step: its row of weights and AdamW's moments, (P,) fp32, on the CPU.

    `kept` are the weights of an earlier step, where the best one is kept.
    """

    row: Tensor
    mean: Tensor
    square: Tensor
    updates: int
    kept: Kept | None = None

    @classmethod
    def fresh(cls, row: Tensor) -> MemberState:
        """A state with these weights and an optimiser that has seen nothing."""
        return cls(row, torch.zeros_like(row), torch.zeros_like(row), 0)
