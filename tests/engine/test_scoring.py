"""Log-likelihoods and generation against transformers, one item at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regimen.engine import generation, prefixes, room, scoring
from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel
from regimen.engine.generation import generate
from regimen.engine.loading import load_base
from regimen.engine.prefill import Prefill
from regimen.engine.prefixes import groups_of
from regimen.engine.scoring import Scored, score
from regimen.engine.weights import can_lay_out
from regimen.study.schema import Adapter

TOKENS = st.lists(st.integers(1, 96), min_size=1, max_size=12)
ITEMS = st.lists(st.builds(Scored, TOKENS, st.lists(TOKENS, min_size=1, max_size=5)), min_size=1, max_size=12)


def rows(base: BaseModel, count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    fresh = [initial_row(base, Adapter(), seed) for seed in range(count)]
    return [row + 0.1 * torch.randn(row.shape, generator=generator) for row in fresh]


def alone(base: BaseModel, row: torch.Tensor | None, prompt: Sequence[int], ids: Sequence[int]) -> float:
    tokens = torch.tensor([[*prompt, *ids]])
    with torch.inference_mode():
        if row is None:
            logits = base.model(input_ids=tokens, use_cache=False).logits[0]
        else:
            with AdapterBank(base, Adapter(), [row]).attached():
                logits = base.model(input_ids=tokens, use_cache=False).logits[0]
    logs = logits.double().log_softmax(-1)
    return sum(float(logs[len(prompt) - 1 + i, token]) for i, token in enumerate(ids))


@given(ITEMS, st.integers(0, 3), st.sampled_from([16, 60, 768]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_company_changes_no_score(base: BaseModel, items: list[Scored], members: int, width: int) -> None:
    adapters = rows(base, members)
    bank = AdapterBank(base, Adapter(), adapters) if members else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(scoring.ROW_TOKENS, "cpu", width)
        scores = score(base, bank, items)
    for item, values in zip(items, scores, strict=True):
        assert values.shape == (max(1, members), len(item.continuations))
        for k in range(max(1, members)):
            for value, ids in zip(values[k], item.continuations, strict=True):
                assert value == pytest.approx(alone(base, adapters[k] if members else None, item.prompt, ids), abs=1e-4)


PROMPTS = st.lists(TOKENS, min_size=1, max_size=9)
STARTS = st.lists(st.integers(1, 96), min_size=3, max_size=9)


@given(STARTS, STARTS, PROMPTS, st.integers(0, 3))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_shared_beginning_read_once_changes_nothing(
    base: BaseModel, one: list[int], other: list[int], rest: list[list[int]], members: int
) -> None:
    """Prompts of two beginnings, and some without."""
    prompts = [*([*one, *tail] for tail in rest), *([*other, *tail] for tail in rest), *rest]
    adapters = rows(base, members)
    bank = AdapterBank(base, Adapter(), adapters) if members else None
    items = [Scored(prompt, [[5, 6], [7], [8, 9, 10]]) for prompt in prompts]
    never = {"LEAST_SHARED": 10**6, "LEAST_SAVED": 0}
    found = []
    for limits in ({"LEAST_SHARED": 2, "LEAST_SAVED": 2}, never):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in limits.items():
                patch.setattr(prefixes, name, value)
            texts = generate(base, bank, prompts, 6, stops=lambda ids: ids[-1] % 11 == 0)
            found.append((score(base, bank, items), [[c.ids for c in row] for row in texts]))
    for values, expected in zip(found[0][0], found[1][0], strict=True):
        assert values == pytest.approx(expected, abs=1e-4)
    assert found[0][1] == found[1][1]


def test_prompts_are_grouped_by_what_they_share() -> None:
    shots = list(range(100, 200))
    prompts = [[*shots, n, n + 1] for n in range(10)] + [[1, 2, 3]] + [[*range(300, 360), 7]]
    first, rest = groups_of(prompts)
    assert (first.members, first.shared) == (list(range(10)), 100)
    assert (rest.members, rest.shared) == ([10, 11], 0)
    (same,) = groups_of([shots] * 8)
    assert same.shared == 99, "a token of each prompt is left to predict from"
    assert groups_of([]) == []


def test_many_choices_cost_one_pass(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = 0
    body = BaseModel.body

    def counted(self: BaseModel, *args: object) -> torch.Tensor:
        nonlocal passes
        passes += 1
        return body(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(BaseModel, "body", counted)
    items = [Scored([1, 2, 3, n + 4], [[n + 5, 6], [7, n + 8, 9], [10]] * 7) for n in range(10)]
    score(base, None, items)
    assert passes == 1


@given(PROMPTS, st.integers(0, 3), st.integers(1, 10), st.sampled_from([1, 5, 512]), st.sampled_from([1, 99]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_generation_is_greedy_decoding_of_each_prompt_alone(
    base: BaseModel, prompts: list[list[int]], members: int, new: int, max_rows: int, laid_out: int
) -> None:
    adapters = rows(base, members)
    bank = AdapterBank(base, Adapter(), adapters) if members else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "CPU", replace(room.CPU, rows=max_rows))
        patch.setattr(generation, "LAID_OUT", laid_out)
        found = generate(base, bank, prompts, new, stops=lambda ids: ids[-1] % 11 == 0)
    for prompt, continuations in zip(prompts, found, strict=True):
        assert len(continuations) == max(1, members)
        for k, continuation in enumerate(continuations):
            assert continuation.ids == decode_alone(base, adapters[k] if members else None, prompt, new)


def test_left_over_prompts_are_no_batch_of_their_own(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    run = Prefill.run

    def noted(self: Prefill, *arguments: Any) -> torch.Tensor:
        started.append(len(self.prompts))
        return run(self, *arguments)

    monkeypatch.setattr(Prefill, "run", noted)
    monkeypatch.setattr(room, "CPU", replace(room.CPU, rows=8))
    generate(base, None, [[n + 1, n + 2] for n in range(17)], 1, stops=lambda ids: False)
    assert started == [6, 6, 5]


def decode_alone(base: BaseModel, row: torch.Tensor | None, prompt: list[int], new: int) -> list[int]:
    out: list[int] = []
    for _ in range(new):
        tokens = torch.tensor([[*prompt, *out]])
        with torch.inference_mode():
            if row is None:
                logits = base.model(input_ids=tokens, use_cache=False).logits[0, -1]
            else:
                with AdapterBank(base, Adapter(), [row]).attached():
                    logits = base.model(input_ids=tokens, use_cache=False).logits[0, -1]
        token = int(logits.argmax())
        if token in base.ends:
            break
        out.append(token)
        if token % 11 == 0:
            break
    return out


@pytest.mark.parametrize("members", [0, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_laid_out_for_few_rows_say_the_same(folder: Path, members: int, precision: str) -> None:
    base = load_base(folder, precision)
    if not can_lay_out(base.head):
        pytest.skip("this CPU has no layout of its own")
    bank = AdapterBank(base, Adapter(), rows(base, members)) if members else nullcontext()
    attached = bank.attached() if isinstance(bank, AdapterBank) else bank
    tokens = torch.arange(1, 41).view(4, 10)
    positions = torch.arange(10).expand(4, -1)
    with torch.inference_mode(), attached:
        plain = base.logits(base.body(tokens, positions, None)[:, -1])
        with base.laid_out():
            assert all(linear.copy is not None for linear in base.linears.values())
            found = base.logits(base.body(tokens, positions, None)[:, -1])
        again = base.logits(base.body(tokens, positions, None)[:, -1])
    torch.testing.assert_close(found, plain, rtol=0, atol={"fp32": 2e-5, "bf16": 0.1}[precision])
    assert torch.equal(again, plain), "the plain products are back"


def test_generation_agrees_with_transformers_generate(base: BaseModel) -> None:
    rng = np.random.default_rng(4)
    prompts = [[int(t) for t in rng.integers(1, 97, n)] for n in (3, 9, 17)]
    ours = generate(base, None, prompts, 12, stops=lambda ids: False)
    for prompt, mine in zip(prompts, ours, strict=True):
        tokens = torch.tensor([prompt])
        theirs = base.model.generate(
            tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=12, do_sample=False, pad_token_id=0
        )[0, len(prompt) :].tolist()
        assert mine[0].ids == [token for token in theirs if token not in base.ends]
