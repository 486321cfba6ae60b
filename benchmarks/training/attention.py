"""Attention forward and backward on the CPU: torch's kernel against ours, time and error.

python -m benchmarks.training.attention
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from regimen.engine.attention import product_attention

SHAPES = {  # rows, heads, key heads, length, width
    "SmolLM2-135M, 4 x 128": (4, 9, 3, 128, 64),
    "Qwen2-0.5B, 4 x 128": (4, 14, 2, 128, 64),
    "Qwen2-0.5B, 2 x 256": (2, 14, 2, 256, 64),
    "Qwen2-0.5B, 2 x 512": (2, 14, 2, 512, 64),
    "tiny Qwen2, 64 x 64": (64, 4, 2, 64, 32),
}


def timed(work: Callable[[], object], times: int = 20) -> float:
    """Milliseconds of one call."""
    for _ in range(3):
        work()
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times * 1e3


def gradients(out: Tensor, leaves: list[Tensor], upstream: Tensor) -> list[Tensor]:
    """The output and the gradients of q, k, v."""
    return [out.detach(), *torch.autograd.grad(out, leaves, upstream)]


def main() -> None:
    """Prints one line a shape and dtype."""
    sys.stdout.write(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    for dtype in (torch.bfloat16, torch.float32):
        for name, (rows, heads, groups, length, width) in SHAPES.items():
            torch.manual_seed(0)
            leaves = [torch.randn(rows, h, length, width).to(dtype).requires_grad_() for h in (heads, groups, groups)]
            segments = torch.arange(length) // 50
            mask = (segments[:, None] == segments).tril_().expand(rows, 1, -1, -1).contiguous()
            upstream = torch.randn(rows, heads, length, width).to(dtype)
            scale = width**-0.5

            def plain(
                some: list[Tensor], mask: Tensor = mask, scale: float = scale, times: int = heads // groups
            ) -> Tensor:
                q, k, v = some
                k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
                return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)

            exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
            truth = gradients(plain(exact), exact, upstream.double())
            line = f"{str(dtype).removeprefix('torch.'):9s} {name:22s}"
            for who, attend in (
                ("torch", plain),
                (
                    "ours",
                    lambda some, mask=mask, scale=scale: product_attention(some[0], some[1], some[2], mask, scale),
                ),
            ):
                got = gradients(attend(leaves), leaves, upstream)
                worst = max(float((g.double() - t).norm() / t.norm()) for g, t in zip(got, truth, strict=True))
                spent = timed(lambda a=attend, x=leaves, u=upstream: gradients(a(x), x, u))
                line += f"  {who} {spent:7.2f} ms, worst error {worst:.1e}"
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
