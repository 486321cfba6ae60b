"""The loss of adapters on blocks that they do not train on: the objective without its gradients.

Owns the passes over the blocks. Does not know where the blocks come from or what is decided by the loss.
"""

from __future__ import annotations

import numpy as np
import torch

from regimen.data.batch import StepBatch
from regimen.engine.banks import Bank
from regimen.engine.base_model import BaseModel
from regimen.engine.device import is_far, sent
from regimen.engine.objective import token_losses

PASS_TOKENS = {"cpu": 8192, "cuda": 65536}  # of one pass, all members together


def mean_losses(base: BaseModel, bank: Bank, blocks: StepBatch) -> list[float]:
    """Each member's mean loss over the predicted tokens of all blocks (nats a token, summed in fp64)."""
    rows, block = blocks.tokens.shape
    most = PASS_TOKENS.get(base.device.type, PASS_TOKENS["cpu"])
    each = max(1, most // (block * len(bank)))
    totals = torch.zeros(len(bank), dtype=torch.float64, device=base.device)
    with torch.no_grad(), bank.attached():
        for start in range(0, rows, each):
            totals += _sums(base, len(bank), blocks, slice(start, start + each))
    return (totals / max(1, blocks.loss_tokens)).tolist()


def _sums(base: BaseModel, members: int, blocks: StepBatch, rows: slice) -> torch.Tensor:
    width = max(1, int(blocks.lengths[rows].max()))

    def repeated(values: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values[rows, :width]))
        tensor = tensor.long() if tensor.dtype == torch.int32 else tensor
        return tensor.repeat(members, 1)

    tokens, places, predicted = (repeated(v) for v in (blocks.tokens, blocks.positions, blocks.loss))
    several = bool((places[:, 1:] == 0).any())
    tokens, positions = sent(tokens, base.device), sent(places, base.device)
    mask = base.apart(places.numpy()) if (several or is_far(base.device)) and base.alone is None else None
    hidden = base.body(tokens, positions, mask)
    weights = torch.ones(len(tokens), device=base.device)
    _, losses = token_losses(hidden, base.output, tokens, predicted, weights)
    return losses.double().view(members, -1).sum(dim=1)
