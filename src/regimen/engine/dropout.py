"""Dropout of what enters the adapters: what is kept is a function of seed, step, row and layer alone.

Owns the drawing, so that a member drops the same values alone, in a cohort, in micro-batches, and after it was resumed;
and its attachment to the base. Each layer draws for itself, as PEFT's do. Does not know adapters' values or batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from regimen.engine.base_model import BaseModel
from regimen.engine.device import sent
from regimen.errors import ModelError
from regimen.study.schema import Adapter


@dataclass(frozen=True)
class Draws:
    """What a pass needs to know: (seed, step) of each member, the rows of its step, which are `block` tokens long and
    are computed up to `width`."""

    members: Sequence[tuple[int, int]]
    rows: slice
    block: int
    width: int


@contextmanager
def dropped(base: BaseModel, adapter: Adapter, draws: Draws) -> Iterator[None]:
    """Within, the target layers drop out what enters their adapters."""
    layers = {name: base.linears[name] for name in base.targets(adapter)}
    for name, linear in layers.items():
        linear.kept = partial(_factors, name, adapter.dropout, draws)
    try:
        yield
    finally:
        for linear in layers.values():
            linear.kept = None


def kept_of_row(layer: str, share: float, member: tuple[int, int], row: int, shape: tuple[int, int]) -> Tensor:
    """The factors (block, features) of one row: 0 for the share that is dropped, else 1 / (1 - share); on the CPU."""
    seed, step = member
    key = hashlib.blake2b(f"{seed}/{step}/{row}/{layer}".encode(), digest_size=7).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key, "little"))
    return (torch.rand(shape, generator=generator) >= share) / (1 - share)


def _factors(layer: str, share: float, draws: Draws, x: Tensor) -> Tensor:
    """As `kept_of_row`, for all rows of a pass, in the shape, dtype and place of `x`.

    Raises ModelError for a layer that does not see every token once.
    """
    features = x.shape[-1]
    count = x.numel() // (features * draws.width * len(draws.members))
    rows = range(draws.rows.start, draws.rows.start + count)
    if len(rows) * draws.width * len(draws.members) * features != x.numel():
        raise ModelError(f"the layer {layer} does not see every token once, so it cannot have dropout; set it to 0")
    shape = (draws.block, features)
    drawn = [kept_of_row(layer, share, one, row, shape)[: draws.width] for one in draws.members for row in rows]
    return sent(torch.stack(drawn).view(x.shape).to(x.dtype), x.device)
