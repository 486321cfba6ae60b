"""Prompts on their way into a cache: padded on the left, in runs of like length, what they share read once.

Owns the inputs of these passes, which are made on the device from tokens and lengths alone, and the first hidden
states. Does not know what is decoded from them. Rows come in K equal groups, one for each adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache

from regimen.engine.base_model import BaseModel
from regimen.engine.caches import GrowingLayer
from regimen.engine.device import sent
from regimen.engine.prefixes import Prefix

Place = Callable[[int, GrowingLayer, int], None]  # takes a layer's number, its keys and values, the first prompt's


@dataclass(frozen=True)
class Prefill:
    """The prompts of a batch in ascending order of length, each without the `prefix` that all share, if they do."""

    base: BaseModel
    members: int
    prefix: Prefix | None
    prompts: Sequence[Sequence[int]]

    @property
    def shared(self) -> int:
        """Tokens of the shared beginning."""
        return self.prefix.length if self.prefix else 0

    @property
    def width(self) -> int:
        """Tokens of the longest prompt."""
        return len(self.prompts[-1])

    @property
    def filled(self) -> int:
        """The columns of the cache that the prompts take; each ends in the last of them."""
        return self.shared + self.width

    def run(self, budget: int, place: Place) -> Tensor:
        """Reads all prompts, at most `budget` tokens at once (or one prompt); returns each row's last hidden state
        (K, prompts, d)."""
        last: list[Tensor] = []
        for first, end in self._runs(budget // self.members):
            layers = self._layers()
            hidden = self.base.body(*self._inputs(self.prompts[first:end]), Cache(layers=[*layers]))[:, -1]
            last.append(hidden.view(self.members, end - first, -1))
            for number, layer in enumerate(layers):
                place(number, layer, first)
        return torch.cat(last, dim=1)

    def _layers(self) -> list[GrowingLayer]:
        if self.prefix is None:
            return [GrowingLayer(self.filled) for _ in range(self.base.config.num_hidden_layers)]
        return [GrowingLayer(self.filled, layer) for layer in self.prefix.layers]

    def _runs(self, budget: int) -> Iterator[tuple[int, int]]:
        first = 0
        for end in range(1, len(self.prompts) + 1):
            if end == len(self.prompts) or (end + 1 - first) * len(self.prompts[end]) > budget:
                yield first, end
                first = end

    def _inputs(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (rows, L), positions (rows, L), mask (rows, 1, L, shared + L) of some prompts."""
        width = len(prompts[-1])
        padded = np.zeros((len(prompts), width), dtype=np.int64)
        for row, prompt in zip(padded, prompts, strict=True):
            row[width - len(prompt) :] = prompt
        device = self.base.device
        tokens = sent(torch.from_numpy(padded), device)
        columns = torch.arange(width, device=device)
        places = columns - (width - self._lengths(prompts))[:, None]
        mask = (places >= 0)[:, None, :] & (columns[:, None] >= columns)
        mask |= columns[:, None] == columns  # padding sees itself, so no row is empty
        mask = functional.pad(mask, (self.shared, 0), value=True).unsqueeze(1)
        positions = self.shared + places.clamp(min=0)
        times = self.members
        return tokens.repeat(times, 1), positions.repeat(times, 1), mask.repeat(times, 1, 1, 1)

    def _lengths(self, prompts: Sequence[Sequence[int]]) -> Tensor:
        return sent(torch.tensor([len(prompt) for prompt in prompts]), self.base.device)

    def visible(self) -> tuple[Tensor, Tensor]:
        """The columns of the cache that each prompt sees (prompts, filled), and its next position (prompts,)."""
        lengths = self._lengths(self.prompts)
        columns = torch.arange(self.filled, device=self.base.device)
        return (columns < self.shared) | (columns >= self.filled - lengths[:, None]), self.shared + lengths
