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
from transformers.cache_utils import Cache

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel
from regimen.engine.caches import PrefixLayer
from regimen.engine.head import Head
from regimen.engine.prefixes import Group, Prefix, compute_prefix, groups_of

# Tokens of a row; a longer item gets a row of its own. Attention costs the square of a row: on the CPU short rows win.
ROW_TOKENS = {"cpu": 128, "cuda": 768}
PASS_TOKENS = {"cpu": 2048, "cuda": 65536}
LOGITS = {"cpu": 1 << 24, "cuda": 1 << 28}  # values of the head's output that exist at once, in fp32


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
class _Totals:
    """Sums over each continuation's tokens, (K, cells): log-probabilities, and tokens that were not the likeliest."""

    nats: Tensor
    misses: Tensor


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
    totals: _Totals

    @classmethod
    def of(cls, base: BaseModel, bank: AdapterBank | None, items: Sequence[Scored]) -> _Batch:
        first_cells = np.cumsum([0, *(len(item.continuations) for item in items)])
        nats = torch.zeros(len(bank) if bank else 1, int(first_cells[-1]), dtype=torch.float64, device=base.device)
        return cls(base, bank, items, first_cells, _Totals(nats, torch.zeros_like(nats)))

    def results(self) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """Per item the log-likelihoods and whether each continuation is the greedy one."""
        values, greedy = self.totals.nats.cpu().numpy(), (self.totals.misses == 0).cpu().numpy()
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
        members = self.totals.nats.shape[0]
        for part in _passes(rows, members, PASS_TOKENS.get(self.base.device.type, PASS_TOKENS["cpu"])):
            _score_rows(self.base, self.bank, part, prefix, self.totals)


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
    base: BaseModel, bank: AdapterBank | None, rows: Sequence[_Row], prefix: Prefix | None, totals: _Totals
) -> None:
    """Adds what some rows' continuations come to."""
    members = totals.nats.shape[0]
    width = max(len(row.tokens) for row in rows)
    padded = {
        name: _padded([getattr(row, name) for row in rows], width, fill)
        for name, fill in (("tokens", 0), ("positions", 0), ("items", -1), ("branches", 0))
    }
    mask = _mask(padded["items"], padded["branches"], prefix)
    # without a mask, a position that restarts would begin a new segment; so padding counts on
    positions = torch.arange(width).expand(len(rows), -1) if mask is None else padded["positions"]
    at = torch.tensor([i * width + place for i, row in enumerate(rows) for place in row.at])
    places, which = at.unique(return_inverse=True)  # many choices are predicted from the prompt's last token
    targets = torch.tensor([target for row in rows for target in row.targets])
    cells = torch.tensor([cell for row in rows for cell in row.cells])
    device = base.device
    cache = Cache(layers=[PrefixLayer(layer) for layer in prefix.layers]) if prefix else None
    with torch.inference_mode(), bank.attached() if bank else nullcontext():
        hidden = base.body(
            padded["tokens"].repeat(members, 1).to(device),
            positions.repeat(members, 1).to(device),
            None if mask is None else mask.repeat(members, 1, 1, 1).to(device),
            cache,
        )
        hidden = hidden.view(members, len(rows) * width, -1)[:, places.to(device)]
        logs, misses = log_probabilities(hidden, base.output, which.to(device), targets.to(device))
        totals.nats.index_add_(1, cells.to(device), logs.double())
        totals.misses.index_add_(1, cells.to(device), misses.double())


def log_probabilities(hidden: Tensor, head: Head, which: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """log softmax(head(h))[target] for targets (m,), each at place `which` (m,) of `hidden` (K, n, d): (K, m), fp32;
    and (K, m), whether another token is likelier."""
    out = torch.empty(hidden.shape[0], len(targets), device=hidden.device)
    missed = torch.empty(out.shape, dtype=torch.bool, device=hidden.device)
    step = max(1, LOGITS.get(hidden.device.type, LOGITS["cpu"]) // (hidden.shape[0] * head.weight.shape[0]))
    for start in range(0, hidden.shape[1], step):
        logits = head.wide_logits(hidden[:, start : start + step])
        here = ((which >= start) & (which < start + step)).nonzero().squeeze(1)
        places = which[here] - start
        chosen = logits[:, places, targets[here]]
        out[:, here] = chosen - logits.logsumexp(dim=2)[:, places]
        missed[:, here] = chosen < logits.amax(dim=2)[:, places]
    return out, missed


def _mask(items: Tensor, branches: Tensor, prefix: Prefix | None) -> Tensor | None:
    """(R, 1, T, S) or None where every row is one unbranched item, for which plain causal attention is right."""
    alone = bool(((items == items[:, :1]) | (items < 0)).all()) and not bool(branches.any())
    if alone and prefix is None:
        return None
    mask = tree_mask(items, branches)
    if prefix is None:
        return mask
    return torch.cat([mask.new_ones(*mask.shape[:3], prefix.length), mask], dim=3)


def tree_mask(items: Tensor, branches: Tensor) -> Tensor:
    """(R, 1, T, T): a token sees earlier tokens of its own item, of the prompt (branch 0) or its own branch."""
    same_item = items[:, :, None] == items[:, None, :]
    same_branch = (branches[:, None, :] == 0) | (branches[:, :, None] == branches[:, None, :])
    return (same_item & same_branch).tril_().unsqueeze(1)


def _padded(rows: Sequence[Sequence[int]], width: int, fill: int) -> Tensor:
    out = torch.full((len(rows), width), fill, dtype=torch.long)
    for index, row in enumerate(rows):
        out[index, : len(row)] = torch.tensor(row, dtype=torch.long)
    return out
