"""Shared beginnings of prompts: computed once, read by all that begin with them.

Owns the grouping of prompts by a common beginning and the keys and values of such a beginning. Does not know what is
asked of the prompts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel
from regimen.engine.caches import GrowingLayer

LEAST_SHARED = 48  # tokens; a shorter beginning is cheaper computed anew than kept
LEAST_SAVED = 512  # tokens that a group must save


@dataclass(frozen=True)
class Group:
    """Prompts (by number) that begin with the same `shared` tokens; 0 where they are only thrown together."""

    members: list[int]
    shared: int


@dataclass(frozen=True)
class Prefix:
    """A beginning's keys and values for K adapters: per layer two tensors (K, heads, length, width)."""

    length: int
    layers: list[tuple[Tensor, Tensor]]


def groups_of(prompts: Sequence[Sequence[int]]) -> list[Group]:
    """Prompts grouped by long common beginnings; all others are one group without. Every prompt keeps a token."""
    by_start: dict[tuple[int, ...], list[int]] = defaultdict(list)
    rest: list[int] = []
    for number, prompt in enumerate(prompts):
        if len(prompt) > LEAST_SHARED:
            by_start[tuple(prompt[:LEAST_SHARED])].append(number)
        else:
            rest.append(number)
    groups = []
    for numbers in by_start.values():
        shared = _common([tuple(prompts[number]) for number in numbers])
        if (len(numbers) - 1) * shared >= LEAST_SAVED:
            groups.append(Group(numbers, shared))
        else:
            rest += numbers
    return [*groups, Group(sorted(rest), 0)] if rest else groups


def _common(prompts: Sequence[tuple[int, ...]]) -> int:
    """The length of the longest beginning of all, at least one token of each left over."""
    low, high = min(prompts), max(prompts)  # in order of their ids: what these two share, all share
    limit = min(len(prompt) for prompt in prompts) - 1
    for place in range(limit):
        if low[place] != high[place]:
            return place
    return limit


def compute_prefix(base: BaseModel, bank: AdapterBank | None, ids: Sequence[int]) -> Prefix:
    """Runs a beginning through the model once for each adapter."""
    members = len(bank) if bank else 1
    layers = [GrowingLayer(len(ids)) for _ in range(base.config.num_hidden_layers)]
    tokens = torch.tensor([list(ids)], device=base.device).expand(members, -1)
    positions = torch.arange(len(ids), device=base.device).expand(members, -1)
    with torch.inference_mode(), bank.attached() if bank else nullcontext():
        base.body(tokens, positions, None, Cache(layers=[*layers]))
    return Prefix(len(ids), [layer.contents() for layer in layers])
