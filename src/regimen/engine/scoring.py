"""Log-likelihoods: all choices of an item in one pass over a shared prompt.

Owns the layout of rows in which items stand side by side, each a prompt with its choices as branches, kept apart by
the attention mask. What many prompts begin with (the shots) is computed once. Does not know tasks, prompts' words or
metrics. Every result has a leading axis of K adapters (1 for the bare base).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers.cache_utils import Cache

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel
from regimen.engine.caches import PrefixLayer
from regimen.engine.device import Parcel
from regimen.engine.head import Head
from regimen.engine.memory import release_memory
from regimen.engine.prefixes import Group, Prefix, compute_prefix, groups_of
from regimen.engine.room import room_of
from regimen.errors import OutOfMemory

# Tokens of a row; a longer item gets a row of its own. Attention costs the square of a row: on the CPU short rows win.
ROW_TOKENS = {"cpu": 128, "cuda": 768}


@dataclass(frozen=True)
class Scored:
    """An item to score: the prompt's token ids, and the ids of each continuation. Neither may be empty."""

    prompt: Sequence[int]
    continuations: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        if not len(self.prompt) or not all(len(ids) for ids in self.continuations):
            raise ValueError("a prompt or a continuation without tokens has no log-likelihood")

    @property
    def length(self) -> int:
        """Tokens it takes in a row: the last token of a continuation is predicted, never read."""
        return len(self.prompt) + sum(len(ids) - 1 for ids in self.continuations)


@dataclass
class _Row:
    """One row of a pass: tokens with their positions, items and branches; what is predicted where."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)

    def add(self, number: int, item: Scored, first_cell: int, skip: int) -> None:
        """Appends an item without the first `skip` tokens of its prompt; cell `first_cell + c` collects branch c."""
        depth = len(item.prompt)
        self._extend(item.prompt[skip:], range(skip, depth), number, 0)
        last = len(self.tokens) - 1
        for branch, ids in enumerate(item.continuations):
            before = len(self.tokens)
            self._extend(ids[:-1], range(depth, depth + len(ids) - 1), number, branch + 1)
            self.at += [last, *range(before, before + len(ids) - 1)]
            self.targets += ids
            self.cells += [first_cell + branch] * len(ids)

    def _extend(self, ids: Sequence[int], positions: range, item: int, branch: int) -> None:
        self.tokens += ids
        self.positions += positions
        self.items += [item] * len(ids)
        self.branches += [branch] * len(ids)


@dataclass
class _Found:
    """What the passes found, still on the device: for each the cells of its predicted tokens (m,), their
    log-probabilities (K, m), and whether another token was likelier (K, m). Read once, and added up in this order."""

    cells: list[NDArray[np.int64]] = field(default_factory=list)
    logs: list[Tensor] = field(default_factory=list)
    missed: list[Tensor] = field(default_factory=list)

    def totals(self, members: int, cells: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Sums over each continuation's tokens, (K, cells): log-probabilities, tokens that were not the likeliest."""
        nats, misses = np.zeros((cells, members)), np.zeros((cells, members), dtype=np.int64)
        if self.logs:
            cell = np.concatenate(self.cells)
            np.add.at(nats, cell, torch.cat(self.logs, dim=1).cpu().double().numpy().T)
            np.add.at(misses, cell, torch.cat(self.missed, dim=1).cpu().long().numpy().T)
        return nats.T, misses.T


def score(base: BaseModel, bank: AdapterBank | None, items: Sequence[Scored]) -> list[NDArray[np.float64]]:
    """The log-likelihood of every continuation given its prompt, in nats: per item an array (K, continuations)."""
    return [values for values, _ in score_with_greedy(base, bank, items)]


def score_with_greedy(
    base: BaseModel, bank: AdapterBank | None, items: Sequence[Scored]
) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Per item two arrays (K, continuations): log-likelihoods, and whether greedy decoding gives the continuation."""
    batch = _Batch.of(base, bank, items)
    if not base.branches:
        batch.add_alone()
    else:
        for group in groups_of([item.prompt for item in items]):
            batch.add_group(group)
    return batch.results()


def score_group(
    base: BaseModel, bank: AdapterBank | None, items: Sequence[Scored], group: Group | None
) -> list[NDArray[np.float64]]:
    """As `score`, with all items in the group that is given; None: each continuation in a row of its own."""
    batch = _Batch.of(base, bank, items)
    if group is None:
        batch.add_alone()
    else:
        batch.add_group(group)
    return [values for values, _ in batch.results()]


@dataclass(frozen=True)
class _Batch:
    """Items under way: cell `first_cells[i] + c` of the totals collects continuation c of item i."""

    base: BaseModel
    bank: AdapterBank | None
    items: Sequence[Scored]
    first_cells: NDArray[np.int64]
    found: _Found = field(default_factory=_Found)

    @classmethod
    def of(cls, base: BaseModel, bank: AdapterBank | None, items: Sequence[Scored]) -> _Batch:
        first_cells = np.cumsum([0, *(len(item.continuations) for item in items)])
        return cls(base, bank, items, first_cells)

    @property
    def members(self) -> int:
        """Adapters, or one for the bare base."""
        return len(self.bank) if self.bank else 1

    def results(self) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """Per item the log-likelihoods and whether each continuation is the greedy one."""
        values, misses = self.found.totals(self.members, int(self.first_cells[-1]))
        greedy = misses == 0
        cells = [slice(*self.first_cells[i : i + 2]) for i in range(len(self.items))]
        return [(values[:, cell], greedy[:, cell]) for cell in cells]

    def add_group(self, group: Group) -> None:
        """Scores the items of a group side by side, what they share read once."""
        prefix = None
        if group.shared:
            prefix = compute_prefix(self.base, self.bank, self.items[group.members[0]].prompt[: group.shared])
        rows: list[_Row] = []
        capacity = ROW_TOKENS.get(self.base.device.type, ROW_TOKENS["cpu"])
        for number in sorted(group.members, key=lambda number: self.items[number].length):
            if not rows or len(rows[-1].tokens) + self.items[number].length - group.shared > capacity:
                rows.append(_Row())
            rows[-1].add(number, self.items[number], int(self.first_cells[number]), group.shared)
        self._score(rows, prefix)

    def add_alone(self) -> None:
        """Scores every continuation in a row of its own, for bases that carry a state from token to token."""
        rows: list[_Row] = []
        for number, item in enumerate(self.items):
            for choice, ids in enumerate(item.continuations):
                rows.append(_Row())
                rows[-1].add(0, Scored([*item.prompt, *ids[:-1]], [ids[-1:]]), 0, 0)
                last = len(rows[-1].tokens)
                rows[-1].at = list(range(last - len(ids), last))
                rows[-1].targets = list(ids)
                rows[-1].cells = [int(self.first_cells[number]) + choice] * len(ids)
        self._score(rows, None)

    def _score(self, rows: list[_Row], prefix: Prefix | None) -> None:
        """Scores rows pass by pass; one that does not fit into memory is halved. Raises OutOfMemory for a row alone."""
        room = room_of(self.base)
        waiting = _passes(rows, self.members, room.pass_tokens)
        while waiting:
            part = waiting.pop(0)
            try:
                _score_rows(self.base, self.bank, part, prefix, room.logits, self.found)
                continue
            except torch.cuda.OutOfMemoryError as fault:
                if len(part) == 1:
                    raise OutOfMemory(
                        f"{self.members} x {len(part[0].tokens)} tokens do not fit into the memory of "
                        f"{self.base.device} for an evaluation; use a smaller --cohort-width"
                    ) from fault
            release_memory()  # outside of the handler, whose traceback holds the failed pass
            waiting[:0] = [part[: len(part) // 2], part[len(part) // 2 :]]


def _passes(rows: list[_Row], members: int, budget: int) -> list[list[_Row]]:
    """Rows of like length together, as many as the budget of tokens allows, at least one."""
    passes: list[list[_Row]] = []
    width = 0
    for row in sorted(rows, key=lambda row: -len(row.tokens)):
        if not passes or (len(passes[-1]) + 1) * width * members > budget:
            passes.append([])
            width = len(row.tokens)
        passes[-1].append(row)
    return passes


def _score_rows(
    base: BaseModel,
    bank: AdapterBank | None,
    rows: Sequence[_Row],
    prefix: Prefix | None,
    most_logits: int,
    found: _Found,
) -> None:
    """Adds what some rows' continuations come to. All is sent in one copy, and the host waits for nothing."""
    members = len(bank) if bank else 1
    width = max(len(row.tokens) for row in rows)
    tokens, positions, items, branches = (
        _padded([getattr(row, name) for row in rows], width, fill)
        for name, fill in (("tokens", 0), ("positions", 0), ("items", -1), ("branches", 0))
    )
    masked = prefix is not None or _is_branched(items, branches)
    if not masked:  # without a mask, a position that restarts would begin a new segment; so padding counts on
        positions = np.tile(np.arange(width), (len(rows), 1))
    at = np.array([i * width + place for i, row in enumerate(rows) for place in row.at], dtype=np.int64)
    places, which = np.unique(at, return_inverse=True)  # many choices are predicted from the prompt's last token
    order = np.argsort(which, kind="stable")
    which, targets, cells = (
        values[order]
        for values in (
            which,
            np.array([target for row in rows for target in row.targets], dtype=np.int64),
            np.array([cell for row in rows for cell in row.cells], dtype=np.int64),
        )
    )
    parcel = Parcel.of([tokens, positions, items, branches, places, which, targets], base.device)
    tokens, positions, items, branches, places, chosen, targets = parcel.sent(base.device)
    mask = _mask(items, branches, prefix).repeat(members, 1, 1, 1) if masked else None
    cache = Cache(layers=[PrefixLayer(layer) for layer in prefix.layers]) if prefix else None
    with torch.inference_mode(), bank.attached() if bank else nullcontext():
        hidden = base.body(tokens.repeat(members, 1), positions.repeat(members, 1), mask, cache)
        hidden = hidden.view(members, len(rows) * width, -1)[:, places]
        logs, missed = log_probabilities(hidden, base.output, which, chosen, targets, most_logits)
    found.cells.append(cells)
    found.logs.append(logs)
    found.missed.append(missed)


def log_probabilities(
    hidden: Tensor, head: Head, which: NDArray[np.int64], chosen: Tensor, targets: Tensor, most_logits: int
) -> tuple[Tensor, Tensor]:
    """log softmax(head(h))[target] for targets (m,), each at place `chosen` (m,) of `hidden` (K, n, d): (K, m), fp32;
    and (K, m), whether another token is likelier. `which` are the places on the host, in ascending order; at most
    `most_logits` logits exist at once."""
    out = torch.empty(hidden.shape[0], len(targets), device=hidden.device)
    missed = torch.empty(out.shape, dtype=torch.bool, device=hidden.device)
    step = max(1, most_logits // (hidden.shape[0] * head.weight.shape[0]))
    for start in range(0, hidden.shape[1], step):
        logits = head.wide_logits(hidden[:, start : start + step])
        here = slice(*np.searchsorted(which, [start, start + step]).tolist())
        places = chosen[here] - start
        own = logits[:, places, targets[here]]
        out[:, here] = own - logits.logsumexp(dim=2)[:, places]
        missed[:, here] = own < logits.amax(dim=2)[:, places]
    return out, missed


def _is_branched(items: NDArray[np.int64], branches: NDArray[np.int64]) -> bool:
    """False where every row is one unbranched item, for which plain causal attention is right."""
    return bool(branches.any()) or not bool(((items == items[:, :1]) | (items < 0)).all())


def _mask(items: Tensor, branches: Tensor, prefix: Prefix | None) -> Tensor:
    """(R, 1, T, S): what each token sees of the shared beginning, which is all of it, and of its row."""
    mask = tree_mask(items, branches)
    return mask if prefix is None else functional.pad(mask, (prefix.length, 0), value=True)


def tree_mask(items: Tensor, branches: Tensor) -> Tensor:
    """(R, 1, T, T): a token sees earlier tokens of its own item, of the prompt (branch 0) or its own branch."""
    same_item = items[:, :, None] == items[:, None, :]
    same_branch = (branches[:, None, :] == 0) | (branches[:, :, None] == branches[:, None, :])
    return (same_item & same_branch).tril_().unsqueeze(1)


def _padded(rows: Sequence[Sequence[int]], width: int, fill: int) -> NDArray[np.int64]:
    out = np.full((len(rows), width), fill, dtype=np.int64)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out
