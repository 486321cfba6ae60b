"""Cohorts: what a member becomes does not depend on who trains beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel, segment_mask
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.states import MemberState
from regimen.study.schema import Adapter, LearningRate, Schedule
from tests.engine.streams import Stream

ADAPTER = Adapter()
SCHEDULE = Schedule(learning_rate=LearningRate(pretrain=1e-3, finetune=1e-3), warmup_steps=2, clip_norm=0.5)


def member(base: BaseModel, seed: int, steps: int = 6, peak: float = 5e-3, **stream: Any) -> Member:
    state = MemberState.fresh(initial_row(base, ADAPTER, seed))
    stable = steps - 2 if steps > 2 else 0
    return Member(f"m{seed}", Stream(seed, **stream), 0, steps, peak, stable, steps, state)


def train(base: BaseModel, members: list[Member], **options: Any) -> dict[str, list[float]]:
    """Trains to the end; returns each member's losses."""
    lockstep = Lockstep(base, ADAPTER, SCHEDULE, members, **options)
    losses: dict[str, list[float]] = {m.name: [] for m in members}
    while lockstep.running:
        for record in lockstep.step():
            losses[record.member].append(record.loss)
    return losses


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


COHORTS = st.lists(
    st.tuples(st.integers(0, 50), st.integers(1, 7), st.floats(1e-4, 2e-2)),
    min_size=1,
    max_size=8,
    unique_by=lambda t: t[0],
)


@given(COHORTS, st.booleans())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_member_is_what_it_would_be_alone(base: BaseModel, spec: list[tuple[int, int, float]], broken: bool) -> None:
    together = [member(base, seed, steps, peak) for seed, steps, peak in spec]
    if broken:  # a co-tenant whose weights, and so whose loss, are not finite
        bad = member(base, 999)
        bad.state.row[5] = torch.nan
        together.insert(len(together) // 2, bad)
    losses = train(base, together)
    for seed, steps, peak in spec:
        alone = member(base, seed, steps, peak)
        solo = train(base, [alone])[alone.name]
        mine = next(m for m in together if m.name == alone.name)
        assert losses[mine.name] == pytest.approx(solo, rel=1e-4)
        assert distance(mine.state.row, alone.state.row) < 1e-4
        assert mine.state.updates == steps
        assert mine.failure is None
    if broken:
        assert "nan" in (bad.failure or "")
        assert len(losses[bad.name]) == 1


@pytest.mark.parametrize("budget", [24, 48, 72, 10_000])
def test_micro_batches_change_nothing(base: BaseModel, budget: int) -> None:
    whole, cut = ([member(base, s) for s in (1, 2)] for _ in range(2))
    one, other = train(base, whole), train(base, cut, pass_tokens=budget)
    for name in one:
        assert one[name] == pytest.approx(other[name], rel=1e-5)
    for a, b in zip(whole, cut, strict=True):
        assert distance(a.state.row, b.state.row) < 1e-4


def test_a_settled_state_goes_on_bit_for_bit(base: BaseModel) -> None:
    undisturbed = [member(base, s, steps=8) for s in (1, 2, 3)]
    train(base, undisturbed)
    first = [member(base, s, steps=8) for s in (1, 2, 3)]
    lockstep = Lockstep(base, ADAPTER, SCHEDULE, first)
    for _ in range(3):
        lockstep.step()
    lockstep.settle()
    train(base, first)
    for a, b in zip(first, undisturbed, strict=True):
        assert torch.equal(a.state.row, b.state.row)
        assert torch.equal(a.state.mean, b.state.mean)
        assert torch.equal(a.state.square, b.state.square)


def test_the_loss_is_the_mean_over_the_members_own_supervised_tokens(base: BaseModel) -> None:
    """Against transformers' own forward, example by example: no packing, no stacking, plain cross-entropy."""
    members = [member(base, 1, share=0.9), member(base, 2, share=0.1)]
    bank_rows = [m.state.row.clone() for m in members]
    records = Lockstep(base, ADAPTER, SCHEDULE, members).step()
    for k, record in enumerate(records):
        batch = members[k].stream.batch(0)
        bank = AdapterBank(base, ADAPTER, [bank_rows[k]])
        total = count = 0.0
        for row in range(len(batch.tokens)):
            starts = np.flatnonzero(batch.positions[row] == 0)
            for start, end in zip(starts, [*starts[1:], len(batch.tokens[row])], strict=True):
                tokens = torch.from_numpy(batch.tokens[row, start:end]).long()
                marks = torch.from_numpy(batch.loss[row, start:end])
                with torch.no_grad(), bank.attached():
                    logits = base.model(input_ids=tokens[None], use_cache=False).logits[0]
                losses = functional.cross_entropy(logits[:-1], tokens[1:], reduction="none")
                total += float(losses[marks[1:]].sum())
                count += float(marks[1:].sum())
        assert record.loss == pytest.approx(total / count, rel=1e-5)
        assert record.loss_tokens == count


def test_packed_segments_do_not_see_each_other(base: BaseModel) -> None:
    """Against each segment alone; and against transformers' own default, which lets them attend across."""
    torch.manual_seed(0)
    tokens = torch.randint(1, 97, (1, 20))
    positions = torch.cat([torch.arange(9), torch.arange(11)])[None]
    with torch.no_grad():
        packed = base.body(tokens, positions, segment_mask(positions))
        alone = torch.cat([base.body(t, torch.arange(t.shape[1])[None], None) for t in tokens.split([9, 11], 1)], 1)
        leaky = base.body(tokens, positions, torch.ones(20, 20, dtype=torch.bool).tril()[None, None])
    torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-5)
    assert (leaky - alone).abs().max() > 1e-3, "the test could not have failed"
    assert segment_mask(torch.arange(5)[None]) is None


def test_every_projection_learns(base: BaseModel) -> None:
    """mLoRA once updated only the last layer's adapter (its issue 138)."""
    one = member(base, 4, steps=4)
    before = one.state.row.clone()
    train(base, [one])
    bank = AdapterBank(base, ADAPTER, [one.state.row])
    for slot in bank.slots:
        assert not torch.equal(one.state.row[slot.start : slot.end], before[slot.start : slot.end]), slot


def test_a_new_adapter_is_peft_s_and_a_function_of_the_seed(base: BaseModel) -> None:
    row = initial_row(base, ADAPTER, 7)
    assert torch.equal(row, initial_row(base, ADAPTER, 7))
    assert not torch.equal(row, initial_row(base, ADAPTER, 8))
    for slot in AdapterBank(base, ADAPTER, [row]).slots:
        values = row[slot.start : slot.end]
        if slot.down:
            bound = slot.shape[1] ** -0.5
            assert values.abs().max() <= bound
            assert values.std() == pytest.approx(bound / 3**0.5, rel=0.25)
        else:
            assert (values == 0).all()
