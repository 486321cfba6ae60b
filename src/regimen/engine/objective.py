"""The loss: next-token cross-entropy at the supervised positions only, in chunks, never all logits at once.

Owns the selection of positions and the chunked product with the frozen head. Each token comes with its weight (one
over its adapter's count of supervised tokens in the whole step), so denominators are exact across micro-batches and
members. Does not know adapters or optimisers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CHUNK_LOGITS = 1 << 24  # at most this many logits exist at once (64 MiB in fp32)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """sum_i weight_i * -log softmax(head h_i)[target_i], with the gradients computed chunk by chunk on the way.

    The head's gradient is formed only if the head trains (as in Liger's fused loss). Logits are formed in the dtype of
    the weights and reduced in fp32.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        needs_grad, head_trains = ctx.needs_input_grad[:2]
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        grad = torch.empty_like(hidden) if needs_grad else None
        head_grad = torch.zeros_like(head, dtype=torch.float32) if head_trains else None
        step = max(1, CHUNK_LOGITS // head.shape[0])
        for start in range(0, len(targets), step):
            part = slice(start, start + step)
            logits = functional.linear(hidden[part], head).float()
            top = logits.logsumexp(dim=1)
            wanted = targets[part, None]
            losses[part] = top - logits.gather(1, wanted).squeeze(1)
            if grad is not None:
                logits.sub_(top[:, None]).exp_()
                logits.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=torch.float32))
                logits.mul_(weights[part, None])
                rounded = logits.to(head.dtype)
                grad[part] = rounded @ head
                if head_grad is not None:
                    head_grad += (rounded.T @ hidden[part]).float()
        ctx.save_for_backward(grad if grad is not None else losses, head_grad)
        ctx.mark_non_differentiable(losses)
        return (losses * weights).sum(), losses

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> Any:  # the second output is marked non-differentiable
        grad, head_grad = ctx.saved_tensors
        scale = outputs[0]
        by_head = None if head_grad is None else (head_grad * scale).to(grad.dtype)
        return grad * scale.to(grad.dtype), by_head, None, None


def token_losses(
    hidden: Tensor, head: Tensor, tokens: Tensor, predicted: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """The weighted sum of the losses (a scalar to call backward on), and each predicted token's loss (n,), fp32.

    `hidden` (N, L, d); `tokens` (N, L); `predicted` (N, L) marks tokens that are predicted from the position before
    them (never the first of a row); `weights` (N,) weighs each row's tokens. Losses come in row-major order.
    """
    rows, columns = predicted.nonzero(as_tuple=True)
    chosen = hidden[rows, columns - 1]
    return _ChunkedCrossEntropy.apply(chosen, head, tokens[rows, columns], weights[rows].float())  # type: ignore[return-value]
