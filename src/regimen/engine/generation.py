"""Greedy generation, batched over prompts and adapters, with a stop for each row.

Owns the batches: which prompts go together, and how many. Does not know tasks or text: what ends a row is asked of the
caller. Every row has a leading group of K adapters (1 for the bare base).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel
from regimen.engine.continuations import Continuation, Stops
from regimen.engine.decoding import Slate, bucket, columns_for, decode_fixed, decode_growing
from regimen.engine.memory import release_memory
from regimen.engine.prefill import Prefill
from regimen.engine.prefixes import Group, compute_prefix, groups_of
from regimen.engine.recording import Recorder
from regimen.engine.room import Room, cached_of_token, room_of
from regimen.engine.rows_under_way import RowsUnderWay
from regimen.errors import OutOfMemory

LAID_OUT = 12  # new tokens from which laying out the weights pays


def generate(
    base: BaseModel, bank: AdapterBank | None, prompts: Sequence[Sequence[int]], new_tokens: int, stops: Stops
) -> list[list[Continuation]]:
    """Greedy continuations of each prompt by each adapter: per prompt K of them.

    A row ends at any of the base's end tokens, when `stops(ids so far)` is true, or after `new_tokens`.
    """
    members = len(bank) if bank else 1
    results = [[Continuation() for _ in range(members)] for _ in prompts]
    if not base.branches:
        from regimen.engine.stateful_generation import fill_alone  # transformers' own loop takes long to import

        fill_alone(base, bank, prompts, results, new_tokens, stops)
        return results
    with base.laid_out() if new_tokens >= LAID_OUT else nullcontext():
        _fill(base, bank, prompts, results, new_tokens, stops)
    return results


def _fill(
    base: BaseModel,
    bank: AdapterBank | None,
    prompts: Sequence[Sequence[int]],
    results: list[list[Continuation]],
    new_tokens: int,
    stops: Stops,
) -> None:
    """Decodes batch after batch into `results`."""
    for group in groups_of(prompts):
        fill_group(base, bank, prompts, group, results, new_tokens, stops)


def fill_group(
    base: BaseModel,
    bank: AdapterBank | None,
    prompts: Sequence[Sequence[int]],
    group: Group,
    results: list[list[Continuation]],
    new_tokens: int,
    stops: Stops,
    *,
    fixed: bool | None = None,
) -> None:
    """Decodes the prompts of a group, what they share read once; `fixed` (on a GPU by default) on memory that stays
    where it is. Raises OutOfMemory where not even one prompt fits."""
    work = _Work(base, bank, room_of(base), new_tokens, base.device.type == "cuda" if fixed is None else fixed)
    prefix = None
    if group.shared:
        prefix = compute_prefix(base, bank, prompts[group.members[0]][: group.shared])
    order = sorted(group.members, key=lambda number: len(prompts[number]))
    start, most = 0, len(order)
    while start < len(order):
        count = min(most, work.batch_size([len(prompts[i]) for i in order[start:]]))
        batch = order[start : start + count]
        rows = RowsUnderWay([results[i] for i in batch], base.ends, stops)
        prefill = Prefill(base, work.members, prefix, [prompts[i][group.shared :] for i in batch])
        if work.decode(prefill, rows):
            start += count
            continue
        if count == 1:
            raise OutOfMemory(
                f"{work.members} x {prefill.filled + new_tokens} tokens do not fit into the memory of {base.device} "
                "for an evaluation; use a smaller --cohort-width"
            )
        most = count // 2
        for i in batch:
            results[i][:] = [Continuation() for _ in results[i]]


@dataclass
class _Work:
    """What the batches of a group have in common; a slate is kept for the next batch of its shape."""

    base: BaseModel
    bank: AdapterBank | None
    room: Room
    new_tokens: int
    fixed: bool
    slate: Slate | None = None

    @property
    def members(self) -> int:
        """Adapters, or one for the bare base."""
        return len(self.bank) if self.bank else 1

    def batch_size(self, lengths: Sequence[int]) -> int:
        """The number of prompts (ascending lengths) that go together within the limits on rows and cache.

        What the limits divide is divided evenly: a few left-over rows would take as many steps as a full batch.
        """
        count = 1
        while count < len(lengths) and self._fits(count + 1, lengths[count] + self.new_tokens):
            count += 1
        return math.ceil(len(lengths) / math.ceil(len(lengths) / count))

    def _fits(self, count: int, tokens: int) -> bool:
        rows, columns = (bucket(count), columns_for(tokens)) if self.fixed else (count, tokens)
        rows *= self.members
        return rows <= self.room.rows and rows * columns * cached_of_token(self.base) <= self.room.cache_bytes

    def decode(self, prefill: Prefill, rows: RowsUnderWay) -> bool:
        """Decodes a batch; False where the device's memory did not hold it."""
        budget = self.room.prefill_tokens
        with torch.inference_mode(), self.bank.attached() if self.bank else nullcontext():
            try:
                if self.fixed:
                    slate = self._slate_for(prefill)
                    decode_fixed(self.base, prefill, rows, budget, self.new_tokens, slate)
                else:
                    decode_growing(self.base, prefill, rows, budget, self.new_tokens)
            except torch.cuda.OutOfMemoryError:
                self.slate = None
            else:
                return True
        release_memory()  # outside of the handler, whose traceback holds the failed batch
        return False

    def _slate_for(self, prefill: Prefill) -> Slate:
        shape = (self.members, len(prefill.prompts), prefill.filled + self.new_tokens)
        if self.slate is None or not self.slate.fits(*shape):
            self.slate = None  # before the next is made: both would not fit
            self.slate = Slate.of(self.base, *shape, Recorder(self.base.device))
        return self.slate
