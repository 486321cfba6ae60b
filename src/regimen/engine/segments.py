"""Attention within the segments of packed rows, without a mask: where segments begin, and the kernel that takes that.

Owns the bounds of segments, made on the host, the mask that says the same, and the call of torch's kernel for segments
of any length, on a GPU. Does not know models, or why a row holds several segments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from transformers.masking_utils import causal_mask_function, sliding_window_overlay

from regimen.engine.device import is_far

WIDEST = 256  # values a head; the kernel takes no wider ones, and only multiples of 8


class Segments(NamedTuple):
    """The segments of N rows of L tokens, in place of an attention mask: attention is causal and inside each segment.

    `bounds` (S + 1,) int32: where segments begin among the N L tokens, then N L, repeated as padding. `rows` and
    `length` are N and L; `window` is how many keys a query sees at most, itself among them (None: all before it).
    """

    bounds: Tensor
    rows: int
    length: int
    window: int | None = None

    def mask(self) -> Tensor:
        """The mask (N, 1, L, L) that says the same, made on the device."""
        places = torch.arange(self.rows * self.length, dtype=torch.int32, device=self.bounds.device)
        owners = torch.bucketize(places, self.bounds, right=True).view(self.rows, self.length)
        allowed = (owners[:, :, None] == owners[:, None, :]).tril_()
        return (allowed if self.window is None else allowed.triu_(1 - self.window)).unsqueeze(1)


def segment_bounds(positions: NDArray[Any]) -> NDArray[np.int32]:
    """The bounds of the segments of rows (N, L) whose `positions` restart at 0: (S + 1,), the last N L."""
    starts = positions == 0
    starts[:, 0] = True
    return np.append(np.flatnonzero(starts), positions.size).astype(np.int32)


def takes_segments(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the kernel runs there: on GPUs, in 16 bits."""
    return is_far(device) and dtype in (torch.bfloat16, torch.float16)


def under(segments: Segments, rule: Callable[..., Any]) -> Segments | None:
    """The segments under a layer's rule (transformers' mask functions): plain causal, or a sliding window; None for
    any other rule, which needs a mask."""
    if rule is causal_mask_function:
        return segments
    parts = inspect.getclosurevars(rule).nonlocals.get("mask_functions", ())
    windows = [part for part in parts if getattr(part, "__code__", None) is _WINDOW]
    if len(parts) != 2 or len(windows) != 1 or causal_mask_function not in parts:
        return None
    return segments._replace(window=int(inspect.getclosurevars(windows[0]).nonlocals["sliding_window"]))


_WINDOW = sliding_window_overlay(1).__code__


def fits_kernel(q: Tensor, k: Tensor, v: Tensor, segments: Segments) -> bool:
    """Whether the kernel takes these queries, keys and values (N, heads, L, d)."""
    width = q.shape[-1]
    whole = q.shape[2] == k.shape[2] == segments.length and q.shape[0] == segments.rows
    even = width == v.shape[-1] <= WIDEST and width % 8 == 0 and q.shape[1] % k.shape[1] == 0
    return takes_segments(q.device, q.dtype) and whole and even


def segment_attention(q: Tensor, k: Tensor, v: Tensor, segments: Segments, scale: float | None) -> Tensor:
    """Attention of (N, heads, L, d) queries to (N, key heads, L, d) keys inside segments; returns (N, L, heads, d).

    `torch.nn.attention.varlen.varlen_attn`: Flash Attention, grouped heads by themselves, windows as (keys before, 0).
    """
    queries, keys, values = (each.transpose(1, 2).flatten(0, 1) for each in (q, k, v))
    window = (-1, 0) if segments.window is None else (segments.window - 1, 0)
    bounds, longest = segments.bounds, segments.length
    out = varlen_attn(
        queries, keys, values, bounds, bounds, longest, longest,
        scale=scale, window_size=window, enable_gqa=q.shape[1] != k.shape[1],
    )  # fmt: skip
    assert isinstance(out, Tensor)
    return out.view(q.shape[0], q.shape[2], q.shape[1], -1)
