"""AdamW and clipping over rows: every member has its own step count, learning rate and gradient norm.

Owns the update rule and the learning-rate schedule. Row k of the result depends on row k of the inputs alone. Does
not know models or losses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from regimen.study.schema import Schedule


@dataclass
class AdamState:
    """The moments of K members: `mean` and `square`, (K, P) fp32, and how many updates each has had, (K,)."""

    mean: Tensor
    square: Tensor
    updates: Tensor

    @classmethod
    def zeros(cls, weights: Tensor) -> AdamState:
        """The state before the first update."""
        updates = torch.zeros(weights.shape[0], dtype=torch.int64, device=weights.device)
        return cls(torch.zeros_like(weights), torch.zeros_like(weights), updates)


def clip_rows(grads: Tensor, limit: float) -> Tensor:
    """Scales each row of `grads` (K, P) in place to an L2 norm of at most `limit`; returns the norms before, (K,).

    As torch.nn.utils.clip_grad_norm_ does for one model: factor min(1, limit / (norm + 1e-6)).
    """
    norms = grads.norm(dim=1)
    factor = (limit / (norms + 1e-6)).clamp(max=1.0)
    grads.mul_(factor[:, None])
    return norms


def adamw_update(
    weights: Tensor, grads: Tensor, state: AdamState, rates: Tensor, schedule: Schedule, live: Tensor | None = None
) -> None:
    """One AdamW step in place (Loshchilov & Hutter 2019, arXiv 1711.05101), as torch.optim.AdamW computes it.

    `weights`, `grads` (K, P); `rates` (K,) learning rates. With `live` (K,) rows where it is false stay as they are,
    moments and count too; their gradients are set to zero.
    """
    first, second = schedule.betas
    if live is None:
        state.updates += 1
        count = state.updates.double()
        state.mean.lerp_(grads, 1 - first)
        state.square.mul_(second).addcmul_(grads, grads, value=1 - second)
        rates = rates.double()
    else:
        grads.masked_fill_(~live[:, None], 0.0)
        state.updates += live
        count = state.updates.clamp(min=1).double()
        state.mean.lerp_(grads, ((1 - first) * live.float())[:, None])
        state.square.mul_(torch.where(live, second, 1.0)[:, None]).addcmul_(grads, grads, value=1 - second)
        rates = rates.double() * live
    if schedule.weight_decay:
        weights.mul_((1 - rates * schedule.weight_decay).float()[:, None])
    step_size = (rates / (1 - first**count)).float()
    correction = (1 - second**count).sqrt().float()
    denominator = state.square.sqrt().div_(correction[:, None]).add_(schedule.epsilon)
    weights.sub_(step_size[:, None] * state.mean / denominator)


def learning_rate(step: int, peak: float, schedule: Schedule, stable: int | None, horizon: int) -> float:
    """The learning rate of step `step` (from 0): linear warm-up, constant, then 1 - sqrt down from step `stable`.

    The cooldown is that of Hägele et al. 2024 (arXiv 2405.18392, eq. 1): 1 - sqrt((step - stable) / (horizon -
    stable)). `stable` None means a trunk: no cooldown. Cosine (half a wave, Loshchilov & Hutter 2017, arXiv 1608.03983)
    and linear fall from the end of the warm-up to 0 after the last step, as those of transformers do.
    """
    warmup = schedule.warmup_steps
    rate = peak * min(1.0, (step + 1) / warmup) if warmup else peak
    if not schedule.has_trunk:
        passed = max(0, step - warmup) / max(1, horizon - warmup)
        return rate * (1 - passed if schedule.type == "linear" else (1 + math.cos(math.pi * passed)) / 2)
    if stable is not None and step >= stable:
        rate *= 1 - math.sqrt((step - stable) / (horizon - stable))
    return rate
