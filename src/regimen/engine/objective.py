"""The loss: next-token cross-entropy at the supervised positions only, in chunks, never all logits at once.

Owns the selection of positions and the chunked product with the frozen head. Each token comes with its weight (one
over its adapter's count of supervised tokens in the whole step), so denominators are exact across micro-batches and
members. Does not know adapters or optimisers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._triton import has_triton

from regimen.engine.device import is_far, sent
from regimen.engine.head import Head

CHUNK_LOGITS = 1 << 24  # at most this many logits exist at once on the CPU (64 MiB in fp32)
# On other devices (1 GiB in fp32): a chunk reads the whole head, and costs a dozen launches.
DEVICE_CHUNK_LOGITS = 1 << 28


class _ChunkedCrossEntropy(torch.autograd.Function):
    """sum_i weight_i * -log softmax(head(h_i))[target_i], with the gradients computed chunk by chunk on the way.

    The head's gradient is formed only if the head trains (as in Liger's fused loss). Logits are formed in the dtype of
    the weights and reduced in fp32.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, head: Head, targets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        grads = _Gradients.wanted(ctx.needs_input_grad, hidden, weight, bias)
        if _is_compiled(hidden.device) and grads.hidden is not None and grads.weight is grads.bias is None:
            _fill_fused(losses, grads.hidden, hidden, head, targets, weights)
        else:
            _fill(losses, grads, hidden, head, targets, weights)
        ctx.save_for_backward(losses if grads.hidden is None else grads.hidden, grads.weight, grads.bias)
        ctx.mark_non_differentiable(losses)
        return (losses * weights).sum(), losses

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:  # the second output is marked non-differentiable
        grad, *by_head = ctx.saved_tensors
        scale = outputs[0]
        by_weight, by_bias = (None if one is None else (one * scale).to(grad.dtype) for one in by_head)
        return grad * scale.to(grad.dtype), by_weight, by_bias, None, None, None


def _fill(losses: Tensor, grads: _Gradients, hidden: Tensor, head: Head, targets: Tensor, weights: Tensor) -> None:
    """Losses, and the gradients that are wanted, chunk by chunk; logits are changed in place."""
    step = max(1, (DEVICE_CHUNK_LOGITS if is_far(hidden.device) else CHUNK_LOGITS) // len(head.weight))
    for start in range(0, len(targets), step):
        part = slice(start, start + step)
        logits = head.wide_logits(hidden[part])
        top = logits.logsumexp(dim=1)
        wanted = targets[part, None]
        losses[part] = top - logits.gather(1, wanted).squeeze(1)
        if grads.hidden is None:
            continue
        before = None if head.limit is None else logits.clone()
        logits.sub_(top[:, None]).exp_()
        logits.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=torch.float32))
        logits.mul_(weights[part, None])
        rounded = head.slope_(logits, before).to(head.weight.dtype)
        grads.hidden[part] = rounded @ head.weight
        if grads.weight is not None:
            grads.weight += (rounded.T @ hidden[part]).float()
        if grads.bias is not None:
            grads.bias += logits.sum(dim=0)


def _fill_fused(
    losses: Tensor, by_hidden: Tensor, hidden: Tensor, head: Head, targets: Tensor, weights: Tensor
) -> None:
    """The same for a frozen head on a GPU: two products a chunk, and between them one compiled function that reads the
    product once or twice and writes its gradient. All chunks are of one size: the last begins before its
    predecessor's end, and works out a few rows twice."""
    body = _compiled() if hidden.device.type == "cuda" else chunk_losses
    total = len(targets)
    count = math.ceil(total / (DEVICE_CHUNK_LOGITS // len(head.weight) or 1))
    size = math.ceil(total / max(1, count))
    for number in range(count):
        start = min(number * size, total - size)
        part = slice(start, start + size)
        product = head.product(hidden[part])
        losses[part], by_product = body(product, targets[part], weights[part], head.scale, head.limit)
        torch.mm(by_product, head.weight, out=by_hidden[part])


def chunk_losses(
    product: Tensor, targets: Tensor, weights: Tensor, scale: float, limit: float | None
) -> tuple[Tensor, Tensor]:
    """Losses (n,) of logits that the head makes of `product` (n, vocabulary), and the gradient by `product`, weighed.

    Written without changes in place, so that a compiler fuses it; all in fp32 but what comes in and goes out.
    """
    logits = product.float() * scale
    if limit is not None:
        logits = limit * torch.tanh(logits / limit)
    high = logits.amax(dim=1, keepdim=True)
    total = (logits - high).exp().sum(dim=1, keepdim=True)
    losses = (high + total.log()).squeeze(1) - logits.gather(1, targets[:, None]).squeeze(1)
    chances = (logits - high).exp() / total
    hits = torch.arange(logits.shape[1], device=logits.device) == targets[:, None]
    slope = torch.where(hits, chances - 1.0, chances) * (weights[:, None] * scale)
    if limit is not None:
        slope = slope * (1 - (logits / limit).square())
    return losses, slope.to(product.dtype)


def _is_compiled(device: torch.device) -> bool:
    """Whether the chunk's body is compiled there; without Triton a GPU takes the plain form, which launches more."""
    return is_far(device) and (device.type != "cuda" or has_triton())


@cache
def _compiled() -> Callable[..., tuple[Tensor, Tensor]]:
    """`chunk_losses` compiled, one program for each shape."""
    return torch.compile(chunk_losses, dynamic=False)


@dataclass
class _Gradients:
    """The gradients that are wanted, to be filled chunk by chunk; None for what does not train."""

    hidden: Tensor | None
    weight: Tensor | None
    bias: Tensor | None

    @classmethod
    def wanted(cls, needs: Sequence[bool], hidden: Tensor, weight: Tensor, bias: Tensor | None) -> _Gradients:
        return cls(
            torch.empty_like(hidden) if needs[0] else None,
            torch.zeros_like(weight, dtype=torch.float32) if needs[1] else None,
            torch.zeros_like(bias, dtype=torch.float32) if needs[2] and bias is not None else None,
        )


def token_losses(
    hidden: Tensor, head: Head, tokens: Tensor, predicted: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """The weighted sum of the losses (a scalar to call backward on), and each predicted token's loss (n,), fp32.

    `hidden` (N, L, d); `tokens` (N, L); `predicted` (N, L) marks tokens that are predicted from the position before
    them (never the first of a row); `weights` (N,) weighs each row's tokens. Losses come in row-major order. With
    `predicted` on the CPU no device has to be waited for.
    """
    rows, columns = (sent(index, hidden.device) for index in predicted.nonzero(as_tuple=True))
    places = rows * hidden.shape[1] + columns
    return losses_at(hidden, head, places - 1, tokens.flatten()[places], weights[rows].float())


def losses_at(hidden: Tensor, head: Head, places: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The same by places (n,) in the flattened (N L) positions, the tokens predicted there (n,), their weights (n,).

    A place past the end stands for the last position; its weight has to be 0.
    """
    flat = hidden.flatten(0, 1)
    chosen = flat.index_select(0, places.clamp(max=len(flat) - 1))
    return _ChunkedCrossEntropy.apply(chosen, head.weight, head.bias, head, targets, weights)  # type: ignore[return-value]
