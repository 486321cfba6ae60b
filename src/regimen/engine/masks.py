"""The keys that a query sees, in layers with and without a window.

Owns the mask functions that transformers calls when a model makes its masks, and the view that they start from: for
the length of a pass, which keys each query may see at all. Does not know why (segments, branches, padding), and does
not know windows: the model itself gives the rule of each kind of layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers.masking_utils import causal_mask_function, eager_mask, sdpa_mask

from regimen.engine.segments import Segments, under

Rule = Callable[..., Tensor | bool]  # of a row, a head, a query's place and a key's: transformers' mask functions


@dataclass
class View:
    """`seen` is a mask (N, 1, L, S), true where a query may see a key, or the segments that stand for one.

    The keys that a query sees are its text so far, in order.
    """

    seen: Tensor | Segments

    @cached_property
    def visible(self) -> Tensor:
        """The mask."""
        return self.seen.mask() if isinstance(self.seen, Segments) else self.seen

    @cached_property
    def ranks(self) -> tuple[Tensor, Tensor]:
        """Each query's place in its own text (N, 1, L, 1), and each key's in the text of each query (N, 1, L, S)."""
        places = self.visible.cumsum(dim=-1, dtype=torch.int32) - 1
        return places[..., -1:], places

    def under(self, rule: Rule) -> Tensor:
        """The view under a layer's rule, which speaks of places in one plain text: (N, 1, L, S)."""
        if rule is causal_mask_function:
            return self.visible
        own, keys = self.ranks
        rows = torch.arange(len(self.visible), device=own.device)[:, None, None, None]
        return self.visible & rule(rows, torch.zeros_like(rows), own, keys)


_VIEW: ContextVar[View | None] = ContextVar("view", default=None)


@contextmanager
def seeing(seen: Tensor | Segments | None) -> Iterator[None]:
    """Within, models make their masks from this view; None means plain causal attention."""
    token = _VIEW.set(None if seen is None else View(seen))
    try:
        yield
    finally:
        _VIEW.reset(token)


def boolean_mask(*args: Any, mask_function: Rule = causal_mask_function, **more: Any) -> Tensor | Segments | None:
    """The mask in transformers' form, (N, 1, L, S), true where attention is allowed; None for plain causal.

    Where the view is one of segments, and the rule one that they can follow, they pass through the model in its place.
    """
    view = _VIEW.get()
    if view is None:
        return sdpa_mask(*args, mask_function=mask_function, **more)
    if isinstance(view.seen, Segments) and (segments := under(view.seen, mask_function)) is not None:
        return segments
    return view.under(mask_function)


def additive_mask(
    *args: Any, mask_function: Rule = causal_mask_function, dtype: torch.dtype = torch.float32, **more: Any
) -> Tensor | None:
    """The same for attention that adds its mask to the scores: 0 where attention is allowed, else very negative."""
    view = _VIEW.get()
    if view is None:
        return eager_mask(*args, mask_function=mask_function, dtype=dtype, **more)
    allowed = view.under(mask_function)
    return torch.zeros(allowed.shape, dtype=dtype, device=allowed.device).masked_fill_(~allowed, torch.finfo(dtype).min)
