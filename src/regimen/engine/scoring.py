"""Log-likelihoods: all choices of an item in one pass over a shared prompt.

Owns the layout of rows in which many items stand side by side, each a prompt with its choices as branches, kept
apart by the attention mask; and bits of whole texts. Does not know tasks, prompts' words or metrics. Every result
has a leading axis of K adapters (1 for the bare base).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel
from regimen.engine.objective import log_probabilities

ROW_TOKENS = 768  # tokens of a row; longer items get a row of their own
PASS_TOKENS = {"cpu": 8192, "cuda": 65536}


@dataclass(frozen=True)
class Scored:
    """An item to score: the prompt's token ids, and the ids of each continuation. Neither may be empty."""

    prompt: Sequence[int]
    continuations: Sequence[Sequence[int]]

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

    def add(self, number: int, item: Scored, first_cell: int) -> None:
        """Appends an item; cell `first_cell + c` collects its continuation c."""
        start = len(self.tokens)
        depth = len(item.prompt)
        self._extend(item.prompt, range(depth), number, 0)
        for branch, ids in enumerate(item.continuations):
            before = len(self.tokens)
            self._extend(ids[:-1], range(depth, depth + len(ids) - 1), number, branch + 1)
            self.at += [start + depth - 1, *range(before, before + len(ids) - 1)]
            self.targets += ids
            self.cells += [first_cell + branch] * len(ids)

    def _extend(self, ids: Sequence[int], positions: range, item: int, branch: int) -> None:
        self.tokens += ids
        self.positions += positions
        self.items += [item] * len(ids)
        self.branches += [branch] * len(ids)


def score(base: BaseModel, bank: AdapterBank | None, items: Sequence[Scored]) -> list[NDArray[np.float64]]:
    """The log-likelihood of every continuation given its prompt, in nats: per item an array (K, continuations)."""
    members = len(bank) if bank else 1
    order = sorted(range(len(items)), key=lambda index: items[index].length)
    first_cells = np.cumsum([0, *(len(item.continuations) for item in items)])
    totals = torch.zeros(members, int(first_cells[-1]), dtype=torch.float64, device=base.device)
    rows: list[_Row] = []
    for index in order:
        if not rows or len(rows[-1].tokens) + items[index].length > ROW_TOKENS:
            rows.append(_Row())
        rows[-1].add(index, items[index], int(first_cells[index]))
    budget = PASS_TOKENS.get(base.device.type, PASS_TOKENS["cpu"])
    start = 0
    while start < len(rows):
        width = max(len(row.tokens) for row in rows[start:])
        count = max(1, budget // (width * members))
        _score_rows(base, bank, rows[start : start + count], totals)
        start += count
    values = totals.cpu().numpy()
    return [values[:, first_cells[i] : first_cells[i + 1]] for i in range(len(items))]


def _score_rows(base: BaseModel, bank: AdapterBank | None, rows: Sequence[_Row], totals: Tensor) -> None:
    """Adds the log-probabilities of some rows' continuations to `totals` (K, cells)."""
    members = totals.shape[0]
    width = max(len(row.tokens) for row in rows)
    padded = {
        name: _padded([getattr(row, name) for row in rows], width, fill)
        for name, fill in (("tokens", 0), ("positions", 0), ("items", -1), ("branches", 0))
    }
    mask = tree_mask(padded["items"], padded["branches"])
    at = torch.tensor([i * width + place for i, row in enumerate(rows) for place in row.at])
    targets = torch.tensor([target for row in rows for target in row.targets])
    cells = torch.tensor([cell for row in rows for cell in row.cells])
    device = base.device
    with torch.inference_mode(), bank.attached() if bank else nullcontext():
        hidden = base.body(
            padded["tokens"].repeat(members, 1).to(device),
            padded["positions"].repeat(members, 1).to(device),
            mask.repeat(members, 1, 1, 1).to(device),
        )
        hidden = hidden.view(members, len(rows) * width, -1)[:, at.to(device)]
        logs = log_probabilities(hidden.reshape(-1, hidden.shape[-1]), base.head, targets.repeat(members).to(device))
        totals.index_add_(1, cells.to(device), logs.view(members, -1).double())


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
