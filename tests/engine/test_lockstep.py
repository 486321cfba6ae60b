"""Cohorts: what a member becomes does not depend on who trains beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from regimen.data.batch import StepBatch
from regimen.engine.adapter_bank import AdapterBank, initial_row, layout
from regimen.engine.base_model import BaseModel, segment_mask
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.memory import SHARE, counting_kept
from regimen.engine.optimiser import clip_rows
from regimen.engine.states import MemberState
from regimen.errors import MachineError, ModelError
from regimen.study.schema import Adapter, LearningRate, Schedule
from tests.support.streams import Stream

ADAPTER = Adapter()
SCHEDULE = Schedule(learning_rate=LearningRate(pretrain=1e-3, finetune=1e-3), warmup_steps=2, clip_norm=0.5)


def member(base: BaseModel, seed: int, steps: int = 6, peak: float = 5e-3, **stream: Any) -> Member:
    state = MemberState.fresh(initial_row(base, ADAPTER, seed))
    stable = steps - 2 if steps > 2 else 0
    return Member(f"m{seed}", Stream(seed, **stream), 0, steps, peak, stable, state)


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
    bad = member(base, 999)
    if broken:  # a co-tenant whose weights, and so whose loss, are not finite
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


class Cramped:
    """A device that holds so many rows and no more: the body fails as CUDA does where memory ends."""

    def __init__(self, base: BaseModel, rows: int, monkeypatch: pytest.MonkeyPatch):
        self.refused = 0
        body = BaseModel.body

        def limited(own: BaseModel, tokens: torch.Tensor, *more: Any) -> torch.Tensor:
            if len(tokens) > rows:
                self.refused += 1
                raise torch.cuda.OutOfMemoryError("out of memory")
            return body(own, tokens, *more)

        monkeypatch.setattr(BaseModel, "body", limited)


def test_where_memory_ends_the_micro_batch_halves_and_the_step_is_redone(
    base: BaseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = [member(base, s) for s in (1, 2)]
    expected = train(base, calm, pass_tokens=2 * 24)  # one row of each member in a pass
    cramped = Cramped(base, 3, monkeypatch)
    members = [member(base, s) for s in (1, 2)]
    assert train(base, members, pass_tokens=10_000) == expected
    assert cramped.refused == 2, "8 rows, then 4; after that it is known"
    for one, other in zip(members, calm, strict=True):
        assert torch.equal(one.state.row, other.state.row)


def test_a_block_longer_than_the_positions_is_refused(base: BaseModel) -> None:
    with pytest.raises(ModelError, match="a block of 300 tokens is longer than the 256 positions of the base"):
        train(base, [member(base, 1, block=300)])


def test_what_fits_nowhere_is_said(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    Cramped(base, 1, monkeypatch)
    with pytest.raises(MachineError, match="2 x 24 tokens does not fit into the memory of cpu; use a smaller"):
        train(base, [member(base, s) for s in (1, 2)])


def test_micro_batches_are_sized_for_the_memory_there_is(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a pass really keeps stays within the share of a machine of any size, down to one row of each member."""
    monkeypatch.setattr(base, "kept", {})
    members = [member(base, s, steps=3) for s in (1, 2)]
    calm = train(base, members)
    kept = base.kept[(ADAPTER, 24)]
    largest: list[int] = []
    plain = Lockstep._one_pass

    def watched(own: Lockstep, *arguments: Any) -> torch.Tensor:
        with counting_kept([*base.model.parameters(), own._bank.weights]) as here:
            totals = plain(own, *arguments)
        largest.append(here.total)
        return totals

    monkeypatch.setattr(Lockstep, "_one_pass", watched)
    for rows in (4, 2, 1):
        largest.clear()
        memory = int(1.01 * kept * 2 * 24 * rows / SHARE["cpu"])
        cut = [member(base, s, steps=3) for s in (1, 2)]
        losses = train(base, cut, memory=memory)
        assert len(largest) == 3 * 4 // rows
        assert max(largest) <= 1.1 * SHARE["cpu"] * memory
        for name in calm:
            assert losses[name] == pytest.approx(calm[name], rel=1e-5)


def test_gradients_are_those_of_separate_models_where_some_are_clipped(base: BaseModel) -> None:
    """Three adapters in one pass against autograd of each alone, through the whole model, up to the clipped row."""
    streams = [Stream(1), Stream(2, share=0.05), Stream(3, share=1.0)]
    rows = [
        initial_row(base, ADAPTER, s) + 0.02 * s * torch.randn(1, generator=torch.manual_seed(s)) for s in (1, 2, 3)
    ]
    members = [
        Member(f"m{k}", stream, 0, 2, 1e-3, None, MemberState.fresh(row))
        for k, (stream, row) in enumerate(zip(streams, rows, strict=True))
    ]
    together = Lockstep(base, ADAPTER, SCHEDULE, members)
    together._gradients([stream.batch(0) for stream in streams])
    wanted = [separate_gradient(base, row, stream.batch(0)) for row, stream in zip(rows, streams, strict=True)]
    norms = torch.stack([grad.norm() for grad in wanted])
    limit = float(norms.sort().values[1]) * 0.99  # the smallest stays, two are clipped
    torch.testing.assert_close(together._bank.grads, torch.stack(wanted), rtol=2e-4, atol=1e-6)
    torch.testing.assert_close(clip_rows(together._bank.grads, limit), norms, rtol=1e-4, atol=0.0)
    for k, grad in enumerate(wanted):
        leaf = torch.nn.Parameter(torch.zeros_like(grad))
        leaf.grad = grad
        torch.nn.utils.clip_grad_norm_([leaf], limit)
        torch.testing.assert_close(together._bank.grads[k], leaf.grad, rtol=2e-4, atol=1e-6)
    assert [bool(norm > limit) for norm in norms].count(False) == 1


def separate_gradient(base: BaseModel, row: torch.Tensor, batch: StepBatch) -> torch.Tensor:
    """Plain autograd of one adapter: full logits, torch's attention, weights W + scale B A formed outright."""
    slots = layout(base, ADAPTER)
    leaf = row.clone().requires_grad_()
    weights = {}
    for down, up in zip(slots[::2], slots[1::2], strict=True):
        a, b = (leaf[slot.start : slot.end].view(slot.shape) for slot in (down, up))
        weights[f"{down.layer}.weight"] = base.linears[down.layer].weight + ADAPTER.alpha / ADAPTER.rank * b @ a
    tokens, positions = torch.from_numpy(batch.tokens).long(), torch.from_numpy(batch.positions).long()
    inputs = {"input_ids": tokens, "position_ids": positions, "attention_mask": segment_mask(positions)}
    logits = torch.func.functional_call(base.model, weights, kwargs={**inputs, "use_cache": False}).logits
    losses = functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return torch.autograd.grad(losses[torch.from_numpy(batch.loss)[:, 1:].flatten()].mean(), leaf)[0]
