"""Attention of training passes on the CPU, where torch's kernel is slow backwards on short blocks.

Owns one attention function that transformers calls, and the choice between it and torch's own. Forward and backward
are plain products, the scores in fp32; measured against torch's kernel in docs/decisions/attention-on-cpu.md. Does
not know packing: it takes whatever mask it is given.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "regimen"
LONGEST = 256  # tokens; above, torch's kernel is as fast and keeps no (L, L) matrix


class ProductAttention(torch.autograd.Function):
    """softmax(scale q k^T + bias) v, queries grouped over their key heads; all (rows, length, width).

    `bias` (rows, length, length) is 0 where attention is allowed and -inf where not. Scores and softmax are fp32;
    the probabilities are kept in the dtype of `q`.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, scale: float) -> Tensor:
        scores = torch.baddbmm(bias, q.float(), k.float().mT, alpha=scale)
        chances = torch.softmax(scores, dim=-1).to(q.dtype)
        ctx.save_for_backward(q, k, v, chances)
        ctx.scale = scale
        return torch.bmm(chances, v)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        (grad,) = upstream
        q, k, v, chances = ctx.saved_tensors
        by_v = torch.bmm(chances.mT, grad)
        by_chances = torch.bmm(grad, v.mT)
        by_scores = torch.ops.aten._softmax_backward_data(by_chances, chances, -1, chances.dtype)
        return torch.bmm(by_scores, k).mul_(ctx.scale), torch.bmm(by_scores.mT, q).mul_(ctx.scale), by_v, None, None


def product_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Attention of (N, heads, L, d) queries to (N, key heads, L, d) keys; `mask` (N or 1, 1, L, L) is true where
    attention is allowed, None means causal. Returns (N, heads, L, d)."""
    rows, heads, length, width = q.shape
    groups = k.shape[1]
    if mask is None:
        mask = torch.ones(1, 1, length, length, dtype=torch.bool, device=q.device).tril_()
    bias = torch.zeros(mask.shape, device=q.device).masked_fill_(~mask, float("-inf"))
    bias = bias.expand(rows, heads, length, length).reshape(rows * groups, -1, length)
    out = ProductAttention.apply(
        q.reshape(rows * groups, -1, width),
        k.reshape(rows * groups, length, width),
        v.reshape(rows * groups, length, width),
        bias,
        scale,
    )
    return out.view(rows, heads, length, width)  # type: ignore[attr-defined]


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """What transformers calls in every layer: (N, heads, L, d) in, (N, L, heads, d) out."""
    length = query.shape[2]
    trains = torch.is_grad_enabled() and key.requires_grad and key.shape[2] == length <= LONGEST
    if not trains or query.device.type != "cpu" or scaling is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)
    return product_attention(query, key, value, attention_mask, scaling).transpose(1, 2), None


def register() -> str:
    """Makes the attention known to transformers; returns its name for `attn_implementation`."""
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME
