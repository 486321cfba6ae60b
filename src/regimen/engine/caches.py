"""Layers of keys and values, as transformers' models read and fill them.

Owns their memory. Rows come in K equal groups, one for each adapter. Does not know decoding or scoring.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin


class GrowingLayer(CacheLayerMixin):
    """One layer's keys and values, (rows, heads, capacity, width), filled from the left; what is filled is read."""

    is_sliding = False

    def __init__(self, capacity: int, start: tuple[Tensor, Tensor] | None = None):
        """`start` holds the first keys and values of every row of a group, (K, heads, length, width)."""
        super().__init__()
        self.capacity = capacity
        self.filled = 0
        self._start = start

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        rows, heads, _, width = key_states.shape
        self.keys = key_states.new_empty(rows, heads, self.capacity, width)
        self.values = value_states.new_empty(rows, heads, self.capacity, value_states.shape[-1])
        if self._start is not None:
            for kept, first in zip((self.keys, self.values), self._start, strict=True):
                members, _, length, _ = first.shape
                kept.view(members, -1, *kept.shape[1:])[:, :, :, :length] = first[:, None]
            self.filled = self._start[0].shape[2]
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        end = self.filled + key_states.shape[-2]
        self.keys[:, :, self.filled : end] = key_states
        self.values[:, :, self.filled : end] = value_states
        self.filled = end
        return self.contents()

    def contents(self) -> tuple[Tensor, Tensor]:
        """The keys and values so far."""
        assert self.keys is not None
        assert self.values is not None
        return self.keys[:, :, : self.filled], self.values[:, :, : self.filled]

    def place(self, part: GrowingLayer, members: int, prompts: int, first: int, shared: int, width: int) -> None:
        """Copies the keys and values of `part`, K groups of prompts from number `first` on, into this layer.

        This layer's rows are K groups of `prompts`. The first `shared` columns go to the left end, the others so that
        they end at column `shared + width`.
        """
        for name, source in zip(("keys", "values"), part.contents(), strict=True):
            heads, deep = source.shape[1], source.shape[3]
            if not self.is_initialized:
                setattr(self, name, source.new_zeros(members * prompts, heads, self.capacity, deep))
            self.put(getattr(self, name).unflatten(0, (members, prompts)), source, first, shared, width)
        self.is_initialized = True
        self.filled = shared + width

    @staticmethod
    def put(target: Tensor, source: Tensor, first: int, shared: int, width: int) -> None:
        """Copies `source` (K groups of rows, heads, length, width) into `target` (K, rows, heads, capacity, width) from
        row `first` of each group on: `shared` columns to the left end, the others to end at `shared + width`."""
        grouped = source.unflatten(0, (target.shape[0], -1))
        rows, end = slice(first, first + grouped.shape[1]), shared + width
        target[:, rows, :, :shared] = grouped[:, :, :, :shared]
        target[:, rows, :, end - (source.shape[2] - shared) : end] = grouped[:, :, :, shared:]

    def keep(self, rows: Tensor) -> None:
        """Keeps only some rows."""
        assert self.keys is not None
        assert self.values is not None
        self.keys, self.values = self.keys[rows], self.values[rows]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        if not self.is_initialized and self._start is not None:
            return self._start[0].shape[2]
        return self.filled

    def get_max_length(self) -> int:
        return self.capacity


class FixedLayer(CacheLayerMixin):
    """One layer's keys and values in memory that stays where it is, (rows, heads, columns, width), all of it read.

    What is new goes to the column that `column` (1,) names on the device; which columns count, the mask says.
    """

    is_sliding = False

    def __init__(self, keys: Tensor, values: Tensor, column: Tensor):
        super().__init__()
        self.keys, self.values = keys, values
        self._column = column
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        return None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        assert self.keys is not None
        assert self.values is not None
        self.keys.index_copy_(2, self._column, key_states)
        self.values.index_copy_(2, self._column, value_states)
        return self.keys, self.values

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_max_length(), 0

    def get_seq_length(self) -> int:
        return self.get_max_length() - 1

    def get_max_length(self) -> int:
        assert self.keys is not None
        return self.keys.shape[2]


class PrefixLayer(CacheLayerMixin):
    """One layer's keys and values of a shared beginning, put before those of every row of a pass; keeps nothing."""

    is_sliding = False

    def __init__(self, start: tuple[Tensor, Tensor]):
        super().__init__()
        self._start = start
        self.is_initialized = True

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        return None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        return self._before(self._start[0], key_states), self._before(self._start[1], value_states)

    @staticmethod
    def _before(first: Tensor, states: Tensor) -> Tensor:
        members = first.shape[0]
        rows = states.shape[0] // members
        repeated = first[:, None].expand(-1, rows, -1, -1, -1).reshape(states.shape[0], *first.shape[1:])
        return torch.cat([repeated, states], dim=2)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return self._start[0].shape[2]

    def get_max_length(self) -> int:
        return -1
