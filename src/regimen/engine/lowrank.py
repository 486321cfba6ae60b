"""A frozen linear layer with K low-rank adapters, forward and backward in as few passes over memory as it takes.

Owns the arithmetic of y = x W^T + b + scale (x A_k^T) B_k^T and its gradients, for K equal groups of rows. Does not
know modules, banks or models.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from regimen.engine.weights import product


class LowRankLinear(torch.autograd.Function):
    """`x` (..., in) in K equal groups; `down` (K, rank, in), `up` (K, out, rank) fp32, used in the dtype of `x`.

    `copy` is the weight laid out for few rows, if there is one; `kept` the factors by which dropout multiplies what
    enters the adapters, shaped as `x` is, if it does.

    The base's product is added to in place, forward (the adapters' output) and backward (the adapters' part of the
    gradient of `x`); autograd's own graph would hold and add up five more tensors of the size of `x` or `y`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        down: Tensor,
        up: Tensor,
        scale: float,
        copy: Tensor | None = None,
        kept: Tensor | None = None,
    ) -> Tensor:
        a, b = down.to(x.dtype), up.to(x.dtype)
        members = a.shape[0]
        y = product(x, weight, bias, copy).contiguous()  # of an x that is not, it may be a view in another order
        grouped = (x if kept is None else x * kept).reshape(members, -1, x.shape[-1])
        low = torch.bmm(grouped, a.mT)
        y.view(members, -1, y.shape[-1]).baddbmm_(low, b.mT, alpha=scale)
        ctx.save_for_backward(grouped, weight, a, b, low, kept)
        ctx.scale = scale
        return y

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        (grad,) = upstream
        grouped, weight, a, b, low, kept = ctx.saved_tensors
        by_y = grad.reshape(a.shape[0], -1, grad.shape[-1])
        by_low = torch.bmm(by_y, b).mul_(ctx.scale)
        by_down = torch.bmm(by_low.mT, grouped).float()
        by_up = torch.bmm(low.mT, by_y).mT.float().mul_(ctx.scale)
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = (grad.reshape(-1, grad.shape[-1]) @ weight).view(by_y.shape[0], -1, weight.shape[1])
            if kept is None:
                by_x = by_x.baddbmm_(by_low, a)
            else:
                by_x += torch.bmm(by_low, a) * kept.view(by_x.shape)
            by_x = by_x.view(*grad.shape[:-1], weight.shape[1])
        return by_x, None, None, by_down, by_up, None, None, None
