"""Measures a base on this machine: tokens a second, share of its peak, memory, for a cohort of each width.

Owns the timed loop, the count of floating-point operations and the device's peak. Trains on random tokens in full
blocks of several segments, as packed rows are, with loss on every token that has one before it, the dearest case. Does
not know plans or where results are kept.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass

import numpy as np
import torch

from regimen.data.batch import StepBatch
from regimen.engine.adapter_bank import initial_row, layout
from regimen.engine.base_model import BaseModel
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.states import MemberState
from regimen.study.schema import Adapter, Batch, Schedule

# Dense bf16 peaks by their maker's data sheets (NVIDIA H100 SXM, H200, A100), in FLOP/s.
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
STEPS = 1_000_000  # more than any measurement takes
SEGMENTS = 4  # texts in a block, of lengths by chance


@dataclass(frozen=True)
class Measured:
    """One setting's rates: `steps_per_second` counts every member's optimiser steps; memory in bytes."""

    width: int
    pass_tokens: int
    compiled: bool
    tokens_per_second: float
    steps_per_second: float
    mfu: float
    peak_memory: int
    first_seconds: float


@dataclass(frozen=True)
class RandomBlocks:
    """Full blocks of random tokens, each of SEGMENTS texts, a pure function of (seed, step)."""

    seed: int
    batch_shape: tuple[int, int]
    vocabulary: int

    def batch(self, step: int) -> StepBatch:
        """The batch of a step."""
        rows, block = self.batch_shape
        rng = np.random.default_rng([self.seed, step])
        tokens = rng.integers(0, self.vocabulary, (rows, block), dtype=np.int32)
        starts = np.zeros((rows, block), dtype=bool)
        for row in starts:
            row[rng.choice(block, min(SEGMENTS, block), replace=False)] = True
        starts[:, 0] = True
        places = np.arange(block, dtype=np.int32)
        positions = places - np.maximum.accumulate(np.where(starts, places, 0), axis=1)
        return StepBatch(tokens, positions, positions > 0, np.full(rows, block, dtype=np.int32))


def flops_per_token(base: BaseModel, adapter: Adapter, block: int) -> float:
    """Floating-point operations of one training step for each token of full blocks with loss on all.

    Per weight 2 forward and 2 for the gradient of its input, and 2 more only where the weight itself trains (here
    the adapter's); the count of 6N + 12 L H Q T a token of Chowdhery et al. 2022 (PaLM, arXiv 2204.02311, appendix
    B), with 4N for a frozen base. N holds the output head, not the embedding's look-up; attention is counted whole,
    not halved for causality, as there.
    """
    config = base.config
    frozen = sum(linear.weight.numel() for linear in base.linears.values()) + base.head.numel()
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    attention = 12.0 * config.num_hidden_layers * config.num_attention_heads * width * block
    if adapter.method == "full":
        return 6.0 * frozen + attention
    return 4.0 * frozen + 6.0 * layout(base, adapter)[-1].end + attention


def peak_flops(base: BaseModel) -> tuple[float, str]:
    """FLOP/s that the device can do in the base's dtype, and where the figure comes from."""
    if base.device.type == "cuda" and base.dtype is torch.bfloat16:
        name = torch.cuda.get_device_name(base.device)
        for known, value in PEAKS.items():
            if known in name:
                return value, "data sheet, dense bf16"
    size = 8192 if base.device.type == "cuda" else 2048
    a = torch.randn(size, size, device=base.device).to(base.dtype)
    best = float("inf")
    for _ in range(5):
        began = _now(base.device)
        torch.mm(a, a)
        best = min(best, _now(base.device) - began)
    return 2.0 * size**3 / best, f"a product of two {size} x {size} matrices, the best of five"


def use_threads(count: int) -> None:
    """Computes with so many threads from here on, as a worker of a run would."""
    torch.set_num_threads(count)


def measure(
    base: BaseModel,
    adapter: Adapter,
    schedule: Schedule,
    batch: Batch,
    width: int,
    *,
    peak: float,
    pass_tokens: int | None = None,
    compiled: bool = False,
    seconds: float = 3.0,
) -> Measured:
    """Trains `width` adapters for at least `seconds` after a first step; raises MachineError where it does not fit."""
    shape = (batch.sequences, batch.block)
    row = initial_row(base, adapter, 0)
    members = [
        Member(str(k), RandomBlocks(k, shape, base.head.shape[0]), 0, STEPS, 1e-4, None, MemberState.fresh(row))
        for k in range(width)
    ]
    if base.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(base.device)
    lockstep = Lockstep(base, adapter, schedule, members, pass_tokens=pass_tokens, compiled=compiled)
    began = _now(base.device)
    lockstep.step()
    first = _now(base.device) - began
    lockstep.step()  # whatever settles late
    steps, began = 0, _now(base.device)
    while steps < 2 or _now(base.device) - began < seconds:
        lockstep.step()
        steps += 1
    spent = _now(base.device) - began
    rate = steps * width * shape[0] * shape[1] / spent
    return Measured(
        width=width,
        pass_tokens=lockstep.pass_size,
        compiled=compiled,
        tokens_per_second=rate,
        steps_per_second=steps * width / spent,
        mfu=rate * flops_per_token(base, adapter, batch.block) / peak,
        peak_memory=_peak_memory(base.device),
        first_seconds=first,
    )


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _peak_memory(device: torch.device) -> int:
    """The device's; on a CPU the process's, which only grows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
