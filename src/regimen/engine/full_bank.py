"""All weights as one row: full fine-tuning through the same lockstep, as a cohort of one.

Owns the fp32 master copy of a base's weights, (1, P), its gradients, and the way between it and the model, which
computes in its own dtype. Has the face of an adapter bank. Does not know losses, schedules or files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from regimen.engine.base_model import BaseModel
from regimen.errors import TrainingError


def full_row(base: BaseModel) -> Tensor:
    """The base's weights as a row (P,), fp32 on the CPU; tied weights once."""
    return torch.cat([parameter.detach().float().reshape(-1).cpu() for parameter in base.model.parameters()])


def load_full_row(base: BaseModel, row: Tensor) -> None:
    """Puts a row's values into the base's weights, rounded to their dtype."""
    start = 0
    with torch.no_grad():
        for parameter in base.model.parameters():
            end = start + parameter.numel()
            parameter.copy_(row[start:end].view(parameter.shape))
            start = end


class FullBank:
    """One member whose row is the whole model: `weights` and `grads`, each (1, P) fp32, on the base's device."""

    def __init__(self, base: BaseModel, rows: Sequence[Tensor]):
        if len(rows) != 1:
            raise TrainingError(f"{len(rows)} full fine-tunings cannot share a base; they train one at a time")
        self._base = base
        self.weights = rows[0].to(base.device, torch.float32)[None].clone()
        self.grads = torch.zeros_like(self.weights)

    def __len__(self) -> int:
        return 1

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Within, the base computes with these weights and gathers their gradients."""
        load_full_row(self._base, self.weights[0])
        handles = []
        start = 0
        for parameter in self._base.model.parameters():
            parameter.requires_grad_(True)
            end = start + math.prod(parameter.shape)
            handles.append(parameter.register_post_accumulate_grad_hook(self._collector(start, end)))
            start = end
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._base.model.requires_grad_(False)

    def _collector(self, start: int, end: int):
        grads = self.grads[0, start:end]

        def collect(leaf: Tensor) -> None:
            assert leaf.grad is not None
            grads.add_(leaf.grad.reshape(-1))
            leaf.grad = None

        return collect

    def row(self, member: int) -> Tensor:
        """A copy of the row, on the CPU."""
        return self.weights[member].cpu().clone()
