"""The attention of training passes against torch's own: forward, backward, with and without a mask."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from regimen.engine import attention
from regimen.engine.attention import product_attention
from regimen.engine.base_model import BaseModel, segment_mask


def parts(dtype: torch.dtype, *, groups: int = 2) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    torch.manual_seed(groups)
    leaves = [torch.randn(3, heads, 20, 8).to(dtype).requires_grad_() for heads in (4, groups, groups)]
    positions = torch.cat([torch.arange(9), torch.arange(11)])[None].expand(3, -1)
    mask = segment_mask(positions)
    assert mask is not None
    return leaves, mask, torch.randn(3, 4, 20, 8).to(dtype)


def gradients(out: torch.Tensor, leaves: list[torch.Tensor], upstream: torch.Tensor) -> list[torch.Tensor]:
    return [out.detach(), *torch.autograd.grad(out, leaves, upstream)]


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("masked", [True, False])
def test_it_is_torch_s_attention(groups: int, masked: bool) -> None:
    leaves, mask, upstream = parts(torch.float32, groups=groups)
    q, k, v = leaves
    chosen = mask if masked else None
    theirs = functional.scaled_dot_product_attention(
        q, k, v, attn_mask=chosen, is_causal=chosen is None, scale=0.3, enable_gqa=True
    )
    ours = product_attention(q, k, v, chosen, 0.3)
    for mine, other in zip(gradients(ours, leaves, upstream), gradients(theirs, leaves, upstream), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)


def test_in_bf16_it_errs_no_more_than_torch_s_does() -> None:
    """Three ways: truth in fp64, torch's kernel, ours."""
    leaves, mask, upstream = parts(torch.bfloat16)
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]

    def plain(some: list[torch.Tensor]) -> torch.Tensor:
        return functional.scaled_dot_product_attention(*some, attn_mask=mask, scale=0.3, enable_gqa=True)

    truth = gradients(plain(exact), exact, upstream.double())
    theirs = gradients(plain(leaves), leaves, upstream)
    ours = gradients(product_attention(leaves[0], leaves[1], leaves[2], mask, 0.3), leaves, upstream)
    for true, other, mine in zip(truth, theirs, ours, strict=True):
        error, peer = (((x.double() - true).norm() / true.norm()).item() for x in (mine, other))
        assert error <= 1.5 * peer + 1e-3


def test_training_passes_use_it_and_others_do_not(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    plain = attention.product_attention

    def watched(q: torch.Tensor, *others: Any) -> torch.Tensor:
        used.append(q.shape[2])
        return plain(q, *others)

    monkeypatch.setattr(attention, "product_attention", watched)
    for module in base.linears.values():
        monkeypatch.setattr(module, "down", torch.zeros(1, 2, module.weight.shape[1], requires_grad=True))
        monkeypatch.setattr(module, "up", torch.zeros(1, module.weight.shape[0], 2, requires_grad=True))
    for length, expected in ((7, 2), (attention.LONGEST + 1, 0)):
        used.clear()
        positions = torch.arange(length)[None]
        with torch.no_grad():
            base.body(torch.ones_like(positions), positions, None)
        assert not used, "evaluation goes through torch's kernel"
        base.body(torch.ones_like(positions), positions, None)
        assert len(used) == expected
