"""A model as plain transformers computes it, one text at a time, with low-rank adapters added by hooks.

Owns the logits and gradients that this engine is compared with. Shares no arithmetic with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from regimen.engine.adapter_bank import Slot


@dataclass(frozen=True)
class Reference:
    """A plain `model`, and adapters for it: their rows (P,) of `slots`, which add `scale * x A^T B^T`."""

    model: Any
    slots: Sequence[Slot]
    rows: Sequence[Tensor]
    scale: float
    seen: dict[tuple[int, ...], Tensor] = field(default_factory=dict)

    def logits(self, member: int, ids: Sequence[int]) -> Tensor:
        """The logits (L, V) of one text with one adapter, fp32."""
        key = (member, *ids)
        if key not in self.seen:
            with torch.no_grad(), self._adapted(self._factors(member)):
                self.seen[key] = self._run(ids)
        return self.seen[key]

    def gradients(self, member: int, texts: Sequence[Sequence[int]]) -> list[Tensor]:
        """By slot, the gradient of the summed next-token losses of some texts; zeros for what they do not touch."""
        leaves = [factor.clone().requires_grad_() for factor in self._factors(member)]
        with torch.enable_grad(), self._adapted(leaves):
            total = torch.zeros(())
            for text in texts:
                targets = torch.tensor(list(text))[1:]
                total = total + functional.cross_entropy(self._run(text)[:-1], targets, reduction="sum")
            found = torch.autograd.grad(total, leaves, allow_unused=True)
        return [torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(leaves, found, strict=True)]

    def _run(self, ids: Sequence[int]) -> Tensor:
        return self.model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].float()

    def _factors(self, member: int) -> list[Tensor]:
        return [self.rows[member][slot.start : slot.end].view(slot.shape) for slot in self.slots]

    @contextmanager
    def _adapted(self, factors: Sequence[Tensor]) -> Iterator[None]:
        """Within, the model has the adapter of these factors."""
        modules = dict(self.model.named_modules())
        handles = [
            modules[slot.layer].register_forward_hook(_Addition(down, up, self.scale))
            for slot, down, up in zip(self.slots[::2], factors[::2], factors[1::2], strict=True)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


@dataclass(frozen=True)
class _Addition:
    """A forward hook that adds a low-rank product to a linear layer's output."""

    down: Tensor
    up: Tensor
    scale: float

    def __call__(self, module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        return output + self.scale * (inputs[0] @ self.down.T) @ self.up.T
