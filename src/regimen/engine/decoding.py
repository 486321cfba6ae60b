"""Greedy decoding of one batch: a cache that grows, or one that stays where it is so that a GPU repeats the step.

Owns the loops of both, and what a token is: the likeliest, unless no logit is finite. On a CPU only filled columns and
unfinished rows are read. On a GPU the step has fixed tensors, rows and columns in buckets, and never makes the host
wait: a token is read while the next is computed. Does not know batches or tasks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache

from regimen.engine.base_model import BaseModel
from regimen.engine.caches import FixedLayer, GrowingLayer
from regimen.engine.device import Arriving, sent
from regimen.engine.prefill import Prefill
from regimen.engine.recording import Recorder
from regimen.engine.rows_under_way import NOT_FINITE, RowsUnderWay

COLUMNS = 256  # a bucket of the cache's columns
LEAVE = 0.75  # of its rows a growing batch keeps; copying the cache for fewer would not pay


def chosen_from(base: BaseModel, hidden: Tensor) -> Tensor:
    """The likeliest token of each row (rows,), NOT_FINITE where none is."""
    best, chosen = base.logits(hidden).max(dim=1)
    return torch.where(best.isfinite(), chosen, NOT_FINITE)


def decode_growing(base: BaseModel, prefill: Prefill, rows: RowsUnderWay, budget: int, new_tokens: int) -> None:
    """Decodes until every row has ended or has `new_tokens`; the prompts are read `budget` tokens at once."""
    members, count = prefill.members, len(prefill.prompts)
    layers = [GrowingLayer(prefill.filled + new_tokens) for _ in range(base.config.num_hidden_layers)]

    def place(number: int, part: GrowingLayer, first: int) -> None:
        layers[number].place(part, members, count, first, prefill.shared, prefill.width)

    hidden = prefill.run(budget, place).flatten(0, 1)
    visible, positions = prefill.visible()
    visible, positions = visible.repeat(members, 1), positions.repeat(members)
    cache = Cache(layers=[*layers])
    for number in range(new_tokens):
        chosen = chosen_from(base, hidden)
        rows.take(chosen.view(members, -1).tolist())
        widest = rows.widest
        if not widest or number + 1 == new_tokens:
            return
        if widest <= LEAVE * rows.width:
            keep = _flat(rows.shrink(widest), count, base.device)
            count = widest
            chosen, positions, visible = chosen[keep], positions[keep], visible[keep]
            for layer in layers:
                layer.keep(keep)
        visible = functional.pad(visible, (0, 1), value=True)
        tokens = chosen.clamp(min=0)[:, None]
        hidden = base.body(tokens, positions[:, None], visible[:, None, None, :], cache)[:, -1]
        positions = positions + 1


def decode_fixed(
    base: BaseModel, prefill: Prefill, rows: RowsUnderWay, budget: int, new_tokens: int, slate: Slate
) -> None:
    """The same on a slate that is large enough; a row that has ended may be computed once more, and is not read."""
    slate.begin(prefill, budget)
    coming, live = slate.reading(), rows.live
    for _ in range(new_tokens - 1):
        slate.step()
        following, live_then = slate.reading(), rows.live
        rows.take(coming.read(), live)
        coming, live = following, live_then
        widest = rows.widest
        if not widest:
            return
        if bucket(widest) < slate.width:
            slate.keep(rows.shrink(bucket(widest)))
    rows.take(coming.read(), live)


def bucket(count: int) -> int:
    """The least of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that is not below: rows come in few numbers, so steps repeat."""
    power = 1 << max(0, count - 1).bit_length()
    return power * 3 // 4 if power >= 4 and power * 3 // 4 >= count else power


def columns_for(filled: int) -> int:
    """The columns of a cache that holds so many tokens."""
    return math.ceil(filled / COLUMNS) * COLUMNS


@dataclass
class Slate:
    """The memory of a batch that decodes in place: K groups of `room` rows of `columns` cached tokens.

    `width` rows of each group are in use, and lie at its beginning. All tensors stay where they are for good.
    """

    base: BaseModel
    members: int
    room: int
    columns: int
    recorder: Recorder
    width: int = 0
    filled: int = 0
    _layers: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, device = self.members * self.room, self.base.device
        self._tokens = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self._positions = torch.zeros(rows, 1, dtype=torch.long, device=device)
        self._chosen = torch.zeros(rows, dtype=torch.long, device=device)
        self._visible = torch.zeros(rows, self.columns, dtype=torch.bool, device=device)
        self._column = torch.zeros(1, dtype=torch.long, device=device)

    def fits(self, members: int, count: int, columns: int) -> bool:
        """Whether a batch of this shape would be given a slate like this one."""
        return (self.members, self.room, self.columns) == (members, bucket(count), columns_for(columns))

    @classmethod
    def of(cls, base: BaseModel, members: int, count: int, columns: int, recorder: Recorder) -> Slate:
        """A slate for so many prompts and cached tokens."""
        return cls(base, members, bucket(count), columns_for(columns), recorder)

    def begin(self, prefill: Prefill, budget: int) -> None:
        """Reads the prompts, and notes the first token of each."""
        self.width, self.filled = self.room, prefill.filled
        count = len(prefill.prompts)

        def place(number: int, part: GrowingLayer, first: int) -> None:
            for kept, source in zip(self._layer(number, part), part.contents(), strict=True):
                part.put(kept.unflatten(0, (self.members, -1)), source, first, prefill.shared, prefill.width)

        stale = [part for layer in self._layers.values() for part in layer]  # 0 times NaN would be NaN
        for tensor in (self._visible, self._positions, self._tokens, *stale):
            tensor.zero_()
        hidden = prefill.run(budget, place)
        visible, positions = prefill.visible()
        self._grouped(self._visible)[:, :count, : self.filled] = visible
        self._grouped(self._positions)[:, :count, 0] = positions
        self._column.fill_(self.filled)
        chosen = chosen_from(self.base, hidden.flatten(0, 1)).view(self.members, count)
        self._grouped(self._chosen)[:, :count] = chosen
        self._grouped(self._tokens)[:, :count, 0] = chosen.clamp(min=0)

    def _layer(self, number: int, part: GrowingLayer) -> tuple[Tensor, Tensor]:
        if number not in self._layers:
            rows = self.members * self.room
            keys, values = (one.new_zeros(rows, one.shape[1], self.columns, one.shape[3]) for one in part.contents())
            self._layers[number] = keys, values
        return self._layers[number]

    def _grouped(self, tensor: Tensor) -> Tensor:
        return tensor[: self.members * self.width].unflatten(0, (self.members, -1))

    def step(self) -> None:
        """Computes the next token of every row."""
        rows, columns = self.members * self.width, columns_for(self.filled + 1)
        self.recorder.run((rows, columns), lambda: self._step(rows, columns))
        self.filled += 1

    def _step(self, rows: int, columns: int) -> None:
        """One step on the first rows and columns; all that changes from step to step lies on the device."""
        visible = self._visible[:rows, :columns]
        visible.index_fill_(1, self._column, True)
        layers = [
            FixedLayer(keys[:rows, :, :columns], values[:rows, :, :columns], self._column)
            for _, (keys, values) in sorted(self._layers.items())
        ]
        tokens, positions = self._tokens[:rows], self._positions[:rows]
        hidden = self.base.body(tokens, positions, visible[:, None, None, :], Cache(layers=[*layers]))[:, -1]
        chosen = self._chosen[:rows]
        chosen.copy_(chosen_from(self.base, hidden))
        torch.clamp(chosen[:, None], min=0, out=tokens)
        positions.add_(1)
        self._column.add_(1)

    def reading(self) -> Arriving:
        """The newest token of every row, (K, width), on its way to the host."""
        return Arriving(self._grouped(self._chosen).clone())

    def keep(self, places: list[list[int]]) -> None:
        """Keeps only some rows of each group; what is left over of a bucket repeats the first."""
        width = bucket(max(map(len, places)))
        full = [[*one, *[0] * (width - len(one))] for one in places]
        index = _flat(full, self.width, self.base.device)
        moved = [self._tokens, self._positions, self._chosen, self._visible]
        for tensor in [*moved, *(part for layer in self._layers.values() for part in layer)]:
            tensor[: len(index)] = tensor.index_select(0, index)
        self.width = width


def _flat(places: list[list[int]], width: int, device: torch.device) -> Tensor:
    """The rows of some places of each group of `width` rows."""
    return sent(torch.tensor([k * width + place for k, kept in enumerate(places) for place in kept]), device)
