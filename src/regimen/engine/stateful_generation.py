"""Greedy generation by transformers' own loop and caches, for bases that carry a state from token to token.

Owns the batches, which hold prompts of one length since a state cannot skip padding, and the same endings as our own
decoding loop. Does not know tasks or text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel
from regimen.engine.continuations import Continuation, Stops
from regimen.engine.room import room_of


class _Endings(StoppingCriteria):
    """The rows that have ended, noted in their continuations at once."""

    def __init__(self, ends: frozenset[int], start: int, rows: list[Continuation], stops: Stops):
        self._ends, self._start, self._rows, self._stops = ends, start, rows, stops
        self._done = [False] * len(rows)

    def __call__(self, input_ids: Any, scores: Any, **more: Any) -> Any:
        for number, (row, ids) in enumerate(zip(self._rows, input_ids[:, self._start :].tolist(), strict=True)):
            if self._done[number]:
                continue
            if row.ending == "not finite":
                self._done[number] = True
            elif ids[-1] in self._ends:
                row.ending, self._done[number] = "end", True
            else:
                row.ids.append(ids[-1])
                if self._stops(row.ids):
                    row.ending, self._done[number] = "stop", True
        return torch.tensor(self._done, device=input_ids.device)


class _Finite(LogitsProcessor):
    """Notes rows whose likeliest logit is not finite: nothing can be chosen from those."""

    def __init__(self, rows: list[Continuation]):
        self._rows = rows

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        for row, finite in zip(self._rows, scores.amax(dim=1).isfinite().tolist(), strict=True):
            if not finite and row.ending == "length":
                row.ending = "not finite"
        return scores


def fill_alone(
    base: BaseModel,
    bank: AdapterBank | None,
    prompts: Sequence[Sequence[int]],
    results: list[list[Continuation]],
    new_tokens: int,
    stops: Stops,
) -> None:
    """Decodes every prompt by every adapter into `results`."""
    members = len(bank) if bank else 1
    by_length: dict[int, list[int]] = defaultdict(list)
    for number, prompt in enumerate(prompts):
        by_length[len(prompt)].append(number)
    most = max(1, room_of(base).rows // members)
    with torch.inference_mode(), bank.attached() if bank else nullcontext():
        for length, numbers in sorted(by_length.items()):
            for first in range(0, len(numbers), most):
                part = numbers[first : first + most]
                tokens = torch.tensor([list(prompts[number]) for number in part], device=base.device)
                rows = [results[number][member] for member in range(members) for number in part]
                _decode(base, tokens.repeat(members, 1), rows, length, new_tokens, stops)


def _decode(
    base: BaseModel, tokens: Tensor, rows: list[Continuation], length: int, new_tokens: int, stops: Stops
) -> None:
    plain = GenerationConfig(do_sample=False, num_beams=1, max_new_tokens=new_tokens, pad_token_id=0)
    base.model.generate(
        tokens,
        generation_config=plain,
        attention_mask=torch.ones_like(tokens),
        stopping_criteria=StoppingCriteriaList([_Endings(base.ends, length, rows, stops)]),
        logits_processor=LogitsProcessorList([_Finite(rows)]),
    )
