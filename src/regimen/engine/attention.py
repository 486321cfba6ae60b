"""Attention as transformers' models call it: torch's kernels, our products for short blocks, caps and sinks.

Owns the attention function and the choice within it. Packed rows on a GPU go to the kernel for segments. On the CPU
torch's kernel is slow backwards on short blocks; there forward and backward are plain products, the scores in fp32,
measured in docs/decisions/attention-on-cpu.md. Soft caps and sinks, which torch's kernels have not, are plain products
too. Does not know packing: it takes whatever mask or segments it is given.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

from regimen.engine.masks import additive_mask, boolean_mask
from regimen.engine.segments import Segments, fits_kernel, segment_attention

NAME = "regimen"  # for models that ask for an attention function by name
PLAIN = "regimen-plain"  # for models with attention of their own, which adds its mask to the scores
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
    attention is allowed, None means causal. Values may have a width of their own; returns (N, heads, L, that width)."""
    rows, heads, length, width = q.shape
    groups = k.shape[1]
    if mask is None:
        mask = torch.ones(1, 1, length, length, dtype=torch.bool, device=q.device).tril_()
    bias = torch.zeros(mask.shape, device=q.device).masked_fill_(~mask, float("-inf"))
    bias = bias.expand(rows, heads, length, length).reshape(rows * groups, -1, length)
    out = ProductAttention.apply(
        q.reshape(rows * groups, -1, width),
        k.reshape(rows * groups, length, width),
        v.reshape(rows * groups, length, v.shape[-1]),
        bias,
        scale,
    )
    return out.view(rows, heads, length, v.shape[-1])  # type: ignore[attr-defined]


def capped_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float, cap: float | None, sinks: Tensor | None
) -> Tensor:
    """As `product_attention`, keys of any length S, with what some families do to the scores besides, in fp32.

    `cap` squashes them to +-cap by tanh (Gemma 2, arXiv 2408.00118, section 2); `sinks` (heads,) is a score for each
    head that takes its share of the softmax and adds nothing (gpt-oss).
    """
    times = q.shape[1] // k.shape[1]
    k, v = repeat_kv(k, times), repeat_kv(v, times)
    scores = (q.float() @ k.float().mT) * scale
    if cap is not None:
        scores = cap * torch.tanh(scores / cap)
    if mask is None:
        length, total = scores.shape[-2:]
        mask = torch.ones(length, total, dtype=torch.bool, device=q.device).tril_(total - length)
    scores = scores.masked_fill(~mask, float("-inf"))
    if sinks is not None:
        beside = sinks.float().view(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
        scores = torch.cat([scores, beside], dim=-1)
    chances = torch.softmax(scores, dim=-1)[..., : k.shape[2]]
    return chances.to(v.dtype) @ v


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | Segments | None,
    scaling: float | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """The attention that transformers calls in every layer: (N, heads, L, d) in, (N, L, heads, d_v) out."""
    if isinstance(attention_mask, Segments):
        is_plain = softcap is None and s_aux is None and more.get("position_bias") is None
        if is_plain and fits_kernel(query, key, value, attention_mask):
            return segment_attention(query, key, value, attention_mask, scaling), None
        attention_mask = attention_mask.mask()
    if softcap is not None or s_aux is not None:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        out = capped_attention(query, key, value, attention_mask, scale, softcap, s_aux)
        return out.transpose(1, 2).contiguous(), None
    length = query.shape[2]
    trains = torch.is_grad_enabled() and key.requires_grad and key.shape[2] == length <= LONGEST
    plain = trains and query.device.type == "cpu" and scaling is not None and more.get("position_bias") is None
    if not plain or query.shape[1] % key.shape[1]:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)
    assert scaling is not None
    out = product_attention(query, key, value, attention_mask, scaling)
    return out.transpose(1, 2).contiguous(), None


def register() -> None:
    """Makes our attention and masks known to transformers."""
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, boolean_mask)
    AttentionMaskInterface.register(PLAIN, additive_mask)
