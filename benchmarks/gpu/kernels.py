"""Parts of a training step, forward and backward, each against its rivals: attention, the head, low-rank products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.gpu.common import Clock, Row, Scale, attempts, free, milliseconds, need, wait, worst_error
from regimen.engine import objective
from regimen.engine.bench import RandomBlocks
from regimen.engine.head import Head
from regimen.engine.lowrank import LowRankLinear
from regimen.engine.segments import Segments, segment_attention, segment_bounds

Try = tuple[Row, Callable[[], Row]]


def attention(scale: Scale, clock: Clock) -> None:
    """A layer's attention on packed rows, by the mask and by the bounds of segments; errors against fp64.

    Lengths with L % 128 == 64 are those at which masked gradients of cuDNN were reported not to be numbers.
    """
    lengths = (scale.batch.block, scale.batch.block - 64) if scale.on_gpu else (scale.batch.block,)
    attempts(clock, (one for length in lengths for one in _attentions(scale, length)))


def _attentions(scale: Scale, length: int) -> Iterator[Try]:
    config = scale.config
    heads, groups = config.num_attention_heads, config.num_key_value_heads or config.num_attention_heads
    rows, width = scale.batch.sequences, config.hidden_size // heads
    torch.manual_seed(0)
    dtype = torch.bfloat16 if scale.on_gpu else torch.float32
    made = [torch.randn(rows, h, length, width, device=scale.device, dtype=dtype) for h in (heads, groups, groups)]
    upstream = torch.randn(rows, heads, length, width, device=scale.device, dtype=dtype)
    positions = RandomBlocks(0, (rows, length), 100).batch(0).positions
    bounds = torch.from_numpy(segment_bounds(np.array(positions))).to(scale.device)
    segments = Segments(bounds, rows, length)
    mask = segments.mask()

    def masked(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        k, v = (each.repeat_interleave(heads // groups, 1) for each in (k, v))
        return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    def unmasked(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return segment_attention(q, k, v, segments, None).transpose(1, 2)

    def passed(attend: Callable[..., Tensor], given: list[Tensor], up: Tensor) -> list[Tensor]:
        leaves = [each.detach().requires_grad_() for each in given]
        out = attend(*leaves)
        return [out.detach(), *torch.autograd.grad(out, leaves, up)]

    with sdpa_kernel(SDPBackend.MATH):
        truth = passed(masked, [each.double() for each in made], upstream.double())

    def measured(attend: Callable[..., Tensor], backend: SDPBackend | None) -> Row:
        with sdpa_kernel(backend) if backend is not None else nullcontext():
            error = worst_error(passed(attend, made, upstream), truth)
            return {"ms": milliseconds(scale, lambda: passed(attend, made, upstream)), "worst_error": error}

    ways: dict[str, tuple[Callable[..., Tensor], SDPBackend | None]] = {"mask, torch's choice": (masked, None)}
    if scale.on_gpu:
        ways |= {
            "mask, efficient": (masked, SDPBackend.EFFICIENT_ATTENTION),
            "mask, cuDNN": (masked, SDPBackend.CUDNN_ATTENTION),
            "segments, varlen": (unmasked, None),
        }
    for way, (attend, backend) in ways.items():
        yield {"length": length, "way": way}, lambda a=attend, b=backend: measured(a, b)


def head(scale: Scale, clock: Clock) -> None:
    """The loss of one adapter's step, on every token, with its gradient: chunks small and large, others' kernels."""
    rows, block = scale.batch.sequences, scale.batch.block
    dtype = torch.bfloat16 if scale.on_gpu else torch.float32
    torch.manual_seed(0)
    shape, vocabulary = (rows * block, scale.config.hidden_size), scale.config.vocab_size
    hidden = torch.randn(*shape, device=scale.device, dtype=dtype)
    weight = (torch.randn(vocabulary, shape[1], device=scale.device) / shape[1] ** 0.5).to(dtype)
    targets = torch.randint(0, vocabulary, shape[:1], device=scale.device)

    def ours(chunk: int) -> Tensor:
        leaf = hidden.detach().requires_grad_()
        places = torch.arange(shape[0], device=scale.device)
        weights = torch.full(shape[:1], 1 / shape[0], device=scale.device)
        before = objective.CHUNK_LOGITS, objective.DEVICE_CHUNK_LOGITS
        objective.CHUNK_LOGITS = objective.DEVICE_CHUNK_LOGITS = chunk
        try:
            objective.losses_at(leaf[None], Head(weight), places, targets, weights)[0].backward()
        finally:
            objective.CHUNK_LOGITS, objective.DEVICE_CHUNK_LOGITS = before
        return _gradient(leaf)

    def torchs() -> Tensor:
        leaf = hidden.detach().requires_grad_()
        functional.linear_cross_entropy(leaf, weight, targets).backward()
        return _gradient(leaf)

    def ligers() -> Tensor:
        need("liger_kernel")
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss  # type: ignore[import-not-found]

        leaf = hidden.detach().requires_grad_()
        LigerFusedLinearCrossEntropyLoss()(weight, leaf, targets).backward()
        return _gradient(leaf)

    truth: list[Tensor] = []

    def measured(work: Callable[[], Tensor]) -> Row:
        found = work()
        truth.append(found)
        free()
        if scale.on_gpu:
            torch.cuda.reset_peak_memory_stats()
        work()
        wait(scale)
        peak = torch.cuda.max_memory_allocated() / 2**30 if scale.on_gpu else 0.0
        apart = worst_error([found], [truth[0]])
        return {"ms": milliseconds(scale, work), "peak_gib": round(peak, 2), "from_the_first": apart}

    ways: dict[str, Callable[[], Tensor]] = {
        "ours, 2^24 logits": lambda: ours(1 << 24),
        "ours, 2^28 logits": lambda: ours(1 << 28),
        "torch linear_cross_entropy": torchs,
        "liger-kernel": ligers,
    }
    attempts(clock, (({"way": way}, lambda w=work: measured(w)) for way, work in ways.items()))


def _gradient(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad


def products(scale: Scale, clock: Clock) -> None:
    """A frozen layer with rank-4 adapters beside the same layer without, for each shape of the model."""
    config = scale.config
    d, m = config.hidden_size, config.intermediate_size
    narrow = d // config.num_attention_heads * (config.num_key_value_heads or config.num_attention_heads)
    shapes = {"q, o": (d, d), "k, v": (narrow, d), "gate, up": (m, d), "down": (d, m)}
    tries = [
        ({"layer": name, "K": k}, lambda s=shape, k=k: _product(scale, s, k))
        for name, shape in shapes.items()
        for k in (scale.widths[0], scale.widths[-1])
    ]
    attempts(clock, tries)


def _product(scale: Scale, shape: tuple[int, int], members: int) -> Row:
    outputs, inputs = shape
    dtype = torch.bfloat16 if scale.on_gpu else torch.float32
    tokens = members * scale.batch.sequences * scale.batch.block
    options: Any = {"device": scale.device}
    x = torch.randn(tokens, inputs, dtype=dtype, **options).requires_grad_()
    weight = torch.randn(outputs, inputs, dtype=dtype, **options)
    down = torch.randn(members, 4, inputs, **options).requires_grad_()
    up = torch.randn(members, outputs, 4, **options).requires_grad_()
    upstream = torch.randn(tokens, outputs, dtype=dtype, **options)

    def plain() -> None:
        torch.autograd.grad(functional.linear(x, weight), [x], upstream)

    def adapted() -> None:
        out: Any = LowRankLinear.apply(x, weight, None, down, up, 2.0)
        torch.autograd.grad(out, [x, down, up], upstream)

    alone, both = milliseconds(scale, plain), milliseconds(scale, adapted)
    return {"base_ms": alone, "with_adapters_ms": both, "ratio": round(both / alone, 3)}
