"""The adapter bank: K adapters of one shape, stacked, over one frozen base.

Owns the layout of their weights and gradients - one row of a (K, P) matrix each, so that clipping and the optimiser
are a few operations over rows - and their attachment to the base. What belongs to member k depends on row k alone.
Does not know losses, schedules or files.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from regimen.engine.base_model import BaseModel
from regimen.study.schema import Adapter


@dataclass(frozen=True)
class Slot:
    """One factor in an adapter's row: `shape` values from `start` on. `down` is A (rank, in), else B (out, rank)."""

    layer: str
    down: bool
    start: int
    shape: tuple[int, int]

    @property
    def end(self) -> int:
        """One past the last value."""
        return self.start + math.prod(self.shape)

    @property
    def key(self) -> str:
        """The tensor's name in PEFT's adapter files."""
        return f"base_model.model.{self.layer}.lora_{'A' if self.down else 'B'}.weight"


def layout(base: BaseModel, adapter: Adapter) -> list[Slot]:
    """The factors of one adapter of this shape, in the order of its row."""
    slots: list[Slot] = []
    start = 0
    for name in base.targets(adapter):
        outputs, inputs = base.linears[name].matrix.shape
        for down, shape in ((True, (adapter.rank, inputs)), (False, (outputs, adapter.rank))):
            slots.append(Slot(name, down, start, shape))
            start = slots[-1].end
    return slots


def initial_row(base: BaseModel, adapter: Adapter, seed: int) -> Tensor:
    """A new adapter's row (P,), fp32 on the CPU: A uniform in +-1/sqrt(in), B zero, as PEFT initialises LoRA.

    A function of the seed and the layers' names, so that equal settings give equal adapters anywhere.
    """
    slots = layout(base, adapter)
    row = torch.zeros(slots[-1].end)
    for slot in slots:
        if slot.down:
            key = hashlib.blake2b(f"{seed}/{slot.layer}".encode(), digest_size=7).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(key, "little"))
            bound = 1 / math.sqrt(slot.shape[1])
            row[slot.start : slot.end].uniform_(-bound, bound, generator=generator)
    return row


class AdapterBank:
    """K adapters of one shape: `weights` and `grads`, each (K, P) fp32, on the base's device."""

    def __init__(self, base: BaseModel, adapter: Adapter, rows: Sequence[Tensor]):
        self._base = base
        self.adapter = adapter
        self.slots = layout(base, adapter)
        self.weights = torch.stack([row.to(base.device, torch.float32) for row in rows])
        self.grads = torch.zeros_like(self.weights)
        self._factors = [self._factor(slot) for slot in self.slots]

    def __len__(self) -> int:
        return self.weights.shape[0]

    def _factor(self, slot: Slot) -> Tensor:
        """A leaf tensor (K, *shape): a view of the rows, whose gradient is added to the rows of `grads`."""
        shape = (len(self), *slot.shape)
        factor = self.weights[:, slot.start : slot.end].view(shape).detach().requires_grad_()
        grads = self.grads[:, slot.start : slot.end].view(shape)

        def collect(leaf: Tensor) -> None:
            assert leaf.grad is not None
            grads.add_(leaf.grad)
            leaf.grad = None

        factor.register_post_accumulate_grad_hook(collect)
        return factor

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Within, the base computes with these adapters; its inputs hold K equal groups of rows."""
        scale = self.adapter.scale
        factors = self._factors
        if not torch.is_grad_enabled():  # else every layer would round its factors at every pass
            factors = [factor.to(self._base.dtype) for factor in factors]
        for slot, factor in zip(self.slots, factors, strict=True):
            linear = self._base.linears[slot.layer]
            linear.scale = scale
            if slot.down:
                linear.down = factor
            else:
                linear.up = factor
        try:
            yield
        finally:
            for slot in self.slots:
                self._base.linears[slot.layer].down = None
                self._base.linears[slot.layer].up = None

    def row(self, member: int) -> Tensor:
        """A copy of one member's row, on the CPU."""
        return self.weights[member].detach().cpu().clone()


def named_factors(slots: Sequence[Slot], row: Tensor) -> dict[str, Tensor]:
    """A row's factors under PEFT's names."""
    return {slot.key: row[slot.start : slot.end].view(slot.shape).clone() for slot in slots}


def row_of(slots: Sequence[Slot], tensors: dict[str, Tensor]) -> Tensor:
    """The row of an adapter given its factors under PEFT's names; raises KeyError, ValueError where they do not fit."""
    row = torch.empty(slots[-1].end)
    if set(tensors) != {slot.key for slot in slots}:
        unknown = sorted(set(tensors) ^ {slot.key for slot in slots})[0]
        raise KeyError(unknown)
    for slot in slots:
        tensor = tensors[slot.key]
        if tuple(tensor.shape) != slot.shape:
            raise ValueError(f"{slot.key} is {tuple(tensor.shape)}, not {slot.shape}")
        row[slot.start : slot.end] = tensor.reshape(-1).float()
    return row
