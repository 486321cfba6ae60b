"""Merging an adapter into the base it was trained on.

Owns the arithmetic W + scale * B A, formed in fp32. Does not know files or chains.
"""

from __future__ import annotations

import torch
from torch import Tensor

from regimen.engine.adapter_bank import layout
from regimen.engine.base_model import BaseModel
from regimen.study.schema import Adapter


def merge_row(base: BaseModel, adapter: Adapter, row: Tensor) -> None:
    """Adds an adapter (its row, (P,)) to the base's weights, in place; the sum is rounded to the weights' dtype."""
    slots = layout(base, adapter)
    scale = adapter.scale
    for down, up in zip(slots[::2], slots[1::2], strict=True):
        a = row[down.start : down.end].view(down.shape)
        b = row[up.start : up.end].view(up.shape)
        weight = base.linears[down.layer].matrix
        with torch.no_grad():
            weight.copy_(weight.float() + (scale * (b @ a)).to(weight.device))
