"""Greedy generation, batched over prompts and adapters, with a key-value cache and a stop for each row.

Owns the batches, the decoding loop, and the leaving of finished rows. Does not know tasks or text: what ends a row
is asked of the caller. Every row has a leading group of K adapters (1 for the bare base).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel
from regimen.engine.caches import GrowingLayer
from regimen.engine.continuations import MAX_ROWS, Continuation, Stops
from regimen.engine.prefixes import Group, Prefix, compute_prefix, groups_of

CACHE_BYTES = {"cpu": 3 << 29, "cuda": 16 << 30}  # what the keys and values of one batch may take
# Prompt tokens that go through the model at once. The CPU is as fast with few, and few pad less.
PREFILL_TOKENS = {"cpu": 512, "cuda": 65536}
LAID_OUT = 12  # new tokens from which laying out the weights pays
NOT_FINITE = -2  # stands for a token


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
) -> None:
    """Decodes the prompts of a group, what they share read once."""
    members = len(bank) if bank else 1
    prefix = None
    if group.shared:
        prefix = compute_prefix(base, bank, prompts[group.members[0]][: group.shared])
    order = sorted(group.members, key=lambda number: len(prompts[number]))
    start = 0
    while start < len(order):
        count = _batch_size(base, members, [len(prompts[i]) for i in order[start:]], new_tokens)
        batch = order[start : start + count]
        rest = [prompts[i][group.shared :] for i in batch]
        _Decoder(base, bank, prefix, rest, [results[i] for i in batch], stops).run(new_tokens)
        start += count


def _batch_size(base: BaseModel, members: int, lengths: Sequence[int], new_tokens: int) -> int:
    """The number of prompts (ascending lengths) that go together within the limits on rows and cache.

    What the limits divide is divided evenly: a few left-over rows would take as many steps as a full batch.
    """
    config = base.config
    heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * heads * width * base.head.element_size()
    kind = base.device.type if base.device.type in CACHE_BYTES else "cpu"
    count = 1
    while count < len(lengths) and (count + 1) * members <= MAX_ROWS[kind]:
        if (count + 1) * members * (lengths[count] + new_tokens) * per_token > CACHE_BYTES[kind]:
            break
        count += 1
    return math.ceil(len(lengths) / math.ceil(len(lengths) / count))


class _Decoder:
    """One batch under way: prompts in order of length, padded on the left, rows ordered by adapter, then prompt.

    `live` says which prompt each row of each adapter is busy with. Rows leave adapter by adapter; as the groups must
    stay equal, an adapter that is ahead of the others keeps some finished rows.
    """

    def __init__(
        self,
        base: BaseModel,
        bank: AdapterBank | None,
        prefix: Prefix | None,
        prompts: Sequence[Sequence[int]],
        results: Sequence[list[Continuation]],
        stops: Stops,
    ):
        self._base = base
        self._bank = bank
        self._prefix = prefix
        self._prompts = prompts
        self._results = results
        self._stops = stops
        self._members = len(bank) if bank else 1
        self._live = [list(range(len(prompts))) for _ in range(self._members)]
        self._done = [[False] * self._members for _ in prompts]

    def run(self, new_tokens: int) -> None:
        """Decodes until every row has ended."""
        with torch.inference_mode(), self._bank.attached() if self._bank else nullcontext():
            layers, hidden = self._prefill(new_tokens)
            visible, lengths = self._start(layers[0].filled)
            cache = Cache(layers=[*layers])
            for number in range(new_tokens):
                best, chosen = self._base.logits(hidden).max(dim=1)
                chosen = torch.where(best.isfinite(), chosen, NOT_FINITE)
                self._take(chosen.view(self._members, -1).tolist())
                keep = self._leave()
                if not self._live or number + 1 == new_tokens:
                    return
                if keep is not None:
                    chosen, lengths, visible = chosen[keep], lengths[keep], visible[keep]
                    for layer in layers:
                        layer.keep(keep)
                visible = functional.pad(visible, (0, 1), value=True)
                tokens = chosen.clamp(min=0)[:, None]
                hidden = self._base.body(tokens, lengths[:, None], visible[:, None, None, :], cache)[:, -1]
                lengths = lengths + 1

    @property
    def _shared(self) -> int:
        return self._prefix.length if self._prefix else 0

    def _prefill(self, new_tokens: int) -> tuple[list[GrowingLayer], Tensor]:
        """The batch's cache, every prompt at its right end, and each row's last hidden state (rows, d)."""
        width = max(len(prompt) for prompt in self._prompts)
        filled = self._shared + width
        layers = [GrowingLayer(filled + new_tokens) for _ in range(self._base.config.num_hidden_layers)]
        last: list[Tensor] = []
        for first, end in self._chunks():
            own = [GrowingLayer(filled, layer) for layer in self._prefix.layers] if self._prefix else None
            own = own or [GrowingLayer(filled) for _ in layers]
            hidden = self._base.body(*self._prompt_inputs(first, end), Cache(layers=[*own]))[:, -1]
            last.append(hidden.view(self._members, end - first, -1))
            for layer, part in zip(layers, own, strict=True):
                layer.place(part, self._members, len(self._prompts), first, self._shared, width)
        return layers, torch.cat(last, dim=1).flatten(0, 1)

    def _chunks(self) -> Iterator[tuple[int, int]]:
        """Runs of prompts that go through the model together."""
        budget = PREFILL_TOKENS.get(self._base.device.type, PREFILL_TOKENS["cpu"]) // self._members
        first = 0
        for end in range(1, len(self._prompts) + 1):
            if end == len(self._prompts) or (end + 1 - first) * len(self._prompts[end]) > budget:
                yield first, end
                first = end

    def _prompt_inputs(self, first: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (rows, L), positions (rows, L), mask (rows, 1, L, shared + L) of some prompts."""
        prompts = self._prompts[first:end]
        width = len(prompts[-1])
        tokens = torch.zeros(len(prompts), width, dtype=torch.long)
        visible = torch.zeros(len(prompts), width, dtype=torch.bool)
        for index, prompt in enumerate(prompts):
            tokens[index, width - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
            visible[index, width - len(prompt) :] = True
        positions = self._shared + (visible.cumsum(dim=1) - 1).clamp(min=0)
        mask = visible[:, None, :] & torch.ones(width, width, dtype=torch.bool).tril()
        mask |= torch.eye(width, dtype=torch.bool)  # padding sees itself, so no row is empty
        mask = functional.pad(mask, (self._shared, 0), value=True).unsqueeze(1)
        device, times = self._base.device, self._members
        return (
            tokens.repeat(times, 1).to(device),
            positions.repeat(times, 1).to(device),
            mask.repeat(times, 1, 1, 1).to(device),
        )

    def _start(self, filled: int) -> tuple[Tensor, Tensor]:
        """The columns of the cache that each row sees, (rows, filled), and each row's next position, (rows,)."""
        lengths = torch.tensor([len(prompt) for prompt in self._prompts]).repeat(self._members)
        columns = torch.arange(filled)
        visible = (columns < self._shared) | (columns >= filled - lengths[:, None])
        return visible.to(self._base.device), (self._shared + lengths).to(self._base.device)

    def _take(self, chosen: list[list[int]]) -> None:
        """Notes each row's new token, and whether it ends the row."""
        for member, (row, live) in enumerate(zip(chosen, self._live, strict=True)):
            for token, prompt in zip(row, live, strict=True):
                if self._done[prompt][member]:
                    continue
                out = self._results[prompt][member]
                if token == NOT_FINITE or token in self._base.ends:
                    out.ending = "not finite" if token == NOT_FINITE else "end"
                    self._done[prompt][member] = True
                    continue
                out.ids.append(token)
                if self._stops(out.ids):
                    out.ending = "stop"
                    self._done[prompt][member] = True

    def _leave(self) -> Tensor | None:
        """Drops finished rows once a quarter of every group can go: the rows to keep, else None."""
        width = len(self._live[0])
        busy = [[slot for slot, p in enumerate(live) if not self._done[p][k]] for k, live in enumerate(self._live)]
        widest = max(len(slots) for slots in busy)
        if not widest:
            self._live = []
            return None
        if widest > 0.75 * width:
            return None
        for slots in busy:
            idle = sorted(set(range(width)) - set(slots))
            slots += idle[: widest - len(slots)]
        self._live = [[live[slot] for slot in slots] for live, slots in zip(self._live, busy, strict=True)]
        rows = [member * width + slot for member, slots in enumerate(busy) for slot in slots]
        return torch.tensor(rows, device=self._base.device)
