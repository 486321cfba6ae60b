"""A member's state from step to step. Knows nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class MemberState:
    """All that a member carries from step to step: its row of weights and AdamW's moments, (P,) fp32, on the CPU."""

    row: Tensor
    mean: Tensor
    square: Tensor
    updates: int

    @classmethod
    def fresh(cls, row: Tensor) -> MemberState:
        """A state with these weights and an optimiser that has seen nothing."""
        return cls(row, torch.zeros_like(row), torch.zeros_like(row), 0)
