"""Greedy generation, batched over prompts and adapters, with a key-value cache and a stop for each row.

Owns the cache, the decoding loop, and the leaving of finished prompts. Does not know tasks or text: what ends a row
is asked of the caller. Every row has a leading group of K adapters (1 for the bare base).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache, CacheLayerMixin

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel

CACHE_BYTES = {"cpu": 1 << 30, "cuda": 16 << 30}  # what the keys and values of one batch may take
MAX_ROWS = {"cpu": 512, "cuda": 4096}

Stops = Callable[[Sequence[int]], bool]


class GrowingLayer(CacheLayerMixin):
    """One layer's keys and values, (rows, heads, capacity, width), filled from the left; what is filled is read."""

    is_sliding = False

    def __init__(self, capacity: int):
        super().__init__()
        self.capacity = capacity
        self.filled = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        rows, heads, _, width = key_states.shape
        self.keys = key_states.new_empty(rows, heads, self.capacity, width)
        self.values = value_states.new_empty(rows, heads, self.capacity, value_states.shape[-1])
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
        return self.keys[:, :, :end], self.values[:, :, :end]

    def keep(self, rows: Tensor) -> None:
        """Keeps only some rows."""
        assert self.keys is not None
        assert self.values is not None
        self.keys, self.values = self.keys[rows], self.values[rows]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.filled + query_length, 0

    def get_seq_length(self) -> int:
        return self.filled

    def get_max_length(self) -> int:
        return self.capacity


def generate(
    base: BaseModel, bank: AdapterBank | None, prompts: Sequence[Sequence[int]], new_tokens: int, stops: Stops
) -> list[list[list[int]]]:
    """Greedy continuations of each prompt by each adapter: per prompt K lists of token ids, the end token left out.

    A row ends at the end-of-text token, when `stops(ids so far)` is true, or after `new_tokens`.
    """
    members = len(bank) if bank else 1
    results: list[list[list[int]]] = [[[] for _ in range(members)] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    start = 0
    while start < len(order):
        count = _batch_size(base, members, [len(prompts[i]) for i in order[start:]], new_tokens)
        batch = order[start : start + count]
        decoder = _Decoder(base, bank, [prompts[i] for i in batch], new_tokens, stops)
        for index, continuations in zip(batch, decoder.run(), strict=True):
            results[index] = continuations
        start += count
    return results


def _batch_size(base: BaseModel, members: int, lengths: Sequence[int], new_tokens: int) -> int:
    """How many prompts (ascending lengths) go together within the limits on rows and cache."""
    config = base.model.config
    heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * heads * width * base.head.element_size()
    kind = base.device.type if base.device.type in CACHE_BYTES else "cpu"
    count = 1
    while count < len(lengths) and (count + 1) * members <= MAX_ROWS[kind]:
        if (count + 1) * members * (lengths[count] + new_tokens) * per_token > CACHE_BYTES[kind]:
            break
        count += 1
    return count


class _Decoder:
    """One batch under way: prompts padded on the left, rows ordered by adapter, then prompt."""

    def __init__(
        self,
        base: BaseModel,
        bank: AdapterBank | None,
        prompts: Sequence[Sequence[int]],
        new_tokens: int,
        stops: Stops,
    ):
        self._base = base
        self._bank = bank
        self._new_tokens = new_tokens
        self._stops = stops
        self._members = len(bank) if bank else 1
        self._prompts = prompts
        self._alive = list(range(len(prompts)))
        self._out: list[list[list[int]]] = [[[] for _ in range(self._members)] for _ in prompts]
        self._done = [[False] * self._members for _ in prompts]

    def run(self) -> list[list[list[int]]]:
        """Per prompt, K continuations."""
        with torch.inference_mode(), self._bank.attached() if self._bank else nullcontext():
            tokens, lengths, visible = self._prefill_inputs()
            width = tokens.shape[1]
            depth = self._base.model.config.num_hidden_layers
            layers = [GrowingLayer(width + self._new_tokens) for _ in range(depth)]
            cache = Cache(layers=[*layers])
            positions = (visible.cumsum(dim=1) - 1).clamp(min=0)
            mask = visible[:, None, :] & torch.ones(width, width, dtype=torch.bool, device=visible.device).tril()
            mask |= torch.eye(width, dtype=torch.bool, device=visible.device)  # padding sees itself, so no row is empty
            hidden = self._base.body(tokens, positions, mask.unsqueeze(1), cache)[:, -1]
            for _ in range(self._new_tokens):
                chosen = functional.linear(hidden, self._base.head).argmax(dim=1)
                keep = self._take(chosen.view(self._members, -1).tolist())
                if not self._alive:
                    break
                if keep is not None:
                    chosen, lengths, visible = chosen[keep], lengths[keep], visible[keep]
                    for layer in layers:
                        layer.keep(keep)
                visible = functional.pad(visible, (0, 1), value=True)
                hidden = self._base.body(chosen[:, None], lengths[:, None], visible[:, None, None, :], cache)[:, -1]
                lengths = lengths + 1
        return self._out

    def _prefill_inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        width = max(len(prompt) for prompt in self._prompts)
        tokens = torch.zeros(len(self._prompts), width, dtype=torch.long)
        visible = torch.zeros(len(self._prompts), width, dtype=torch.bool)
        for index, prompt in enumerate(self._prompts):
            tokens[index, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
            visible[index, width - len(prompt) :] = True
        lengths = visible.sum(dim=1)
        device = self._base.device
        repeated = (tokens.repeat(self._members, 1), lengths.repeat(self._members), visible.repeat(self._members, 1))
        return repeated[0].to(device), repeated[1].to(device), repeated[2].to(device)

    def _take(self, chosen: list[list[int]]) -> Tensor | None:
        """Notes each row's new token; drops prompts that are done for all adapters, once they are a quarter or more."""
        for member, row in enumerate(chosen):
            for place, prompt in enumerate(self._alive):
                if self._done[prompt][member]:
                    continue
                out = self._out[prompt][member]
                if row[place] == self._base.end:
                    self._done[prompt][member] = True
                    continue
                out.append(row[place])
                self._done[prompt][member] = len(out) >= self._new_tokens or self._stops(out)
        left = [place for place, prompt in enumerate(self._alive) if not all(self._done[prompt])]
        if not left:
            self._alive = []
            return None
        if len(left) > 0.75 * len(self._alive):
            return None
        width = len(self._alive)
        self._alive = [self._alive[place] for place in left]
        rows = [member * width + place for member in range(self._members) for place in left]
        return torch.tensor(rows, device=self._base.device)
