"""Measures the memory of a training pass, and the memory of the machine.

Owns the measurement of what autograd keeps for the backward pass, and the share of the memory that it may take.
Depends on what a machine has, never on what happens to be free: the split of a step into micro-batches decides how
sums are rounded, and a resumed run must split alike. Does not know optimisers or data.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch
from torch import Tensor

SHARE = {"cpu": 0.25, "cuda": 0.6}  # of the memory, for what autograd keeps; the rest is weights, moments, scratch
_CGROUP = Path("/sys/fs/cgroup/memory.max")
_OUTSIDE = 0.05  # of a GPU's memory, for what lies outside of torch's allocator: contexts, kernels, libraries
_sharers = 1  # processes that compute on this process's GPU, this one counted


@dataclass
class Kept:
    """Bytes that autograd kept in a forward pass; storages that several nodes keep count once."""

    storages: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.storages.values())


@contextmanager
def counting_kept(besides: list[Tensor]):
    """Counts what is kept for a backward pass within; the storages of `besides` (weights) do not count."""
    known = {tensor.untyped_storage().data_ptr() for tensor in besides}
    kept = Kept()

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept.storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept


def share_device(device: str, sharers: int) -> None:
    """From here on this process takes a GPU's memory for divided among so many; torch keeps to its part of it."""
    global _sharers
    _sharers = sharers
    if sharers > 1 and torch.device(device).type == "cuda":
        torch.cuda.set_per_process_memory_fraction((1 - _OUTSIDE) / sharers, torch.device(device))


def release_memory() -> None:
    """Frees what nothing refers to any more, on a GPU too."""
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def machine_memory(device: torch.device) -> int:
    """Bytes of the device for this process (its part, where it shares a GPU), or of this machine within its control
    group's limit."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory // _sharers
    total = psutil.virtual_memory().total
    with suppress(OSError, ValueError):
        total = min(total, int(_CGROUP.read_text()))
    return total


def tokens_that_fit(kept: float, device: torch.device, memory: int | None = None) -> int:
    """The number of tokens that a pass may hold, given the bytes kept of each; at least one."""
    share = SHARE.get(device.type, SHARE["cpu"]) * (memory or machine_memory(device))
    return max(1, int(share / max(1.0, kept)))
