"""Arrays on their way to the device that computes.

Owns the copies from the host: out of pinned memory, so that the host never waits for one. Does not know what is in
the arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_ALIGNED = 16  # bytes; tensors that kernels read in wide words begin at a multiple


def is_far(device: torch.device) -> bool:
    """Whether a device computes beside the host, so that reading a value from it means waiting.

    `meta` counts as one: costs are counted there without a GPU.
    """
    return device.type != "cpu"


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; a copy from the CPU to a GPU goes from pinned memory, and nobody waits for it."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


@dataclass(frozen=True)
class Parcel:
    """Arrays in one buffer of bytes (pinned where the device is a GPU), which goes to the device in one copy.

    `layout` has each array's dtype, shape and first byte; equal layouts mean that all kernels see equal shapes.
    """

    buffer: Tensor
    layout: tuple[tuple[torch.dtype, tuple[int, ...], int], ...]

    @classmethod
    def of(cls, arrays: Sequence[np.ndarray], device: torch.device) -> Parcel:
        """Packs arrays for a device."""
        layout, end = [], 0
        for array in arrays:
            layout.append((torch.from_numpy(array[:0]).dtype, array.shape, end))
            end += math.ceil(array.nbytes / _ALIGNED) * _ALIGNED
        buffer = torch.empty(max(1, end), dtype=torch.uint8, pin_memory=device.type == "cuda")
        room = buffer.numpy()
        for array, (_, _, start) in zip(arrays, layout, strict=True):
            room[start : start + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return cls(buffer, tuple(layout))

    def sent(self, device: torch.device) -> list[Tensor]:
        """The arrays on the device, after one copy for which nobody waits."""
        return self.opened(self.buffer.to(device, non_blocking=True) if is_far(device) else self.buffer)

    def opened(self, buffer: Tensor) -> list[Tensor]:
        """Views of a buffer that holds these arrays."""
        return [
            buffer[start : start + math.prod(shape) * dtype.itemsize].view(dtype).view(shape)
            for dtype, shape, start in self.layout
        ]


class Arriving:
    """Values on their way from the device to the host, which waits only where they are read."""

    def __init__(self, values: Tensor):
        self._event = None
        self._values = values
        if values.device.type == "cuda":
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def read(self) -> list:
        """The values as (nested) lists, once they are there."""
        if self._event is not None:
            self._event.synchronize()
        return self._values.tolist()
