"""Steady cohorts, as on a GPU: constant seats and shapes, losses read one step late. Here on the CPU, with values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from regimen.engine.adapter_bank import initial_row
from regimen.engine.base_model import BaseModel
from regimen.engine.lockstep import Lockstep, Member, StepRecord
from regimen.engine.optimiser import AdamState, adamw_update
from regimen.engine.seats import seated
from regimen.engine.states import MemberState
from regimen.engine.step_inputs import Room
from regimen.study.schema import Adapter, LearningRate, Schedule
from tests.support.streams import Stream

ADAPTER = Adapter()
SCHEDULE = Schedule(
    learning_rate=LearningRate(pretrain=1e-3, finetune=1e-3), warmup_steps=2, clip_norm=0.5, weight_decay=0.1
)
STEPS = {1: 7, 2: 3, 3: 7, 4: 5, 5: 7}


def member(base: BaseModel, seed: int, steps: int | None = None, **stream: Any) -> Member:
    state = MemberState.fresh(initial_row(base, ADAPTER, seed))
    return Member(f"m{seed}", Stream(seed, **stream), 0, steps or STEPS[seed], 5e-3, 2, state)


def train(lockstep: Lockstep, steps: int = 99) -> list[StepRecord]:
    records = []
    while lockstep.running and steps:
        records += lockstep.step()
        steps -= 1
    return records + lockstep.settle()


def cohort(base: BaseModel, members: list[Member], *, steady: bool = True) -> Lockstep:
    return Lockstep(base, ADAPTER, SCHEDULE, members, steady=steady)


def is_same(one: MemberState, other: MemberState) -> bool:
    return one.updates == other.updates and all(
        torch.equal(getattr(one, name), getattr(other, name)) for name in ("row", "mean", "square")
    )


def test_a_steady_cohort_trains_as_any_other(base: BaseModel) -> None:
    steady, plain = ([member(base, seed) for seed in STEPS] for _ in range(2))
    found, wanted = train(cohort(base, steady)), train(cohort(base, plain, steady=False))
    assert sorted((r.member, r.step) for r in found) == sorted((r.member, r.step) for r in wanted)
    assert [r.step for r in found if r.member == "m1"] == list(range(7)), "each once, in order"
    by_step = {(r.member, r.step): r for r in wanted}
    for record in found:
        other = by_step[record.member, record.step]
        assert record.loss == pytest.approx(other.loss, rel=1e-4)
        assert record.grad_norm == pytest.approx(other.grad_norm, rel=1e-3)
        assert (record.learning_rate, record.tokens) == (other.learning_rate, other.tokens)
    for one, other in zip(steady, plain, strict=True):
        assert float((one.state.row - other.state.row).norm() / other.state.row.norm()) < 1e-4


def test_losses_come_one_step_late_and_the_last_with_the_end(base: BaseModel) -> None:
    lockstep = cohort(base, [member(base, 1, 3), member(base, 2, 4)])
    assert lockstep.step() == []
    assert {record.step for record in lockstep.step()} == {0}
    assert sorted((r.member, r.step) for r in lockstep.step()) == [("m1", 1), ("m1", 2), ("m2", 1), ("m2", 2)]
    assert [record.step for record in lockstep.step()] == [3]
    assert lockstep.settle() == []


def test_a_member_that_has_left_stays_as_it_was_while_the_others_go_on(base: BaseModel) -> None:
    members = [member(base, seed) for seed in (1, 2, 3)]
    lockstep = cohort(base, members)
    train(lockstep, 3)
    left, bank = members[1].state, lockstep._bank
    train(lockstep, 3)
    assert lockstep._bank is bank, "the cohort still has its three seats"
    for values, wanted in ((bank.weights[1], left.row), (lockstep._adam.mean[1], left.mean)):
        assert torch.equal(values, wanted)
    assert torch.equal(lockstep._adam.square[1], left.square)
    assert (int(lockstep._adam.updates[1]), int(lockstep._adam.updates[0])) == (3, 6)


@given(st.lists(st.booleans(), min_size=1, max_size=5), st.integers(0, 3), st.integers(0, 99))
def test_rows_that_are_not_live_stay_and_live_ones_are_updated_as_ever(live: list[bool], done: int, seed: int) -> None:
    torch.manual_seed(seed)
    rows = (len(live), 7)
    weights, grads, mean, square = torch.randn(rows), torch.randn(rows), torch.randn(rows), torch.rand(rows)
    idle = ~torch.tensor(live)
    grads[idle] = torch.nan
    state = AdamState(mean.clone(), square.clone(), torch.full((len(live),), done))
    mine, chosen = weights.clone(), torch.tensor(live)
    adamw_update(mine, grads.clone(), state, torch.full((len(live),), 0.1), SCHEDULE, chosen)
    assert torch.equal(mine[idle], weights[idle])
    assert torch.equal(state.mean[idle], mean[idle])
    assert torch.equal(state.square[idle], square[idle])
    other, plain = weights[chosen].clone(), AdamState(mean[chosen], square[chosen], torch.full((sum(live),), done))
    adamw_update(other, grads[chosen].clone(), plain, torch.full((sum(live),), 0.1), SCHEDULE)
    torch.testing.assert_close(mine[chosen], other, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(state.mean[chosen], plain.mean, rtol=1e-6, atol=1e-7)
    assert torch.equal(state.updates, done + chosen.long())


@pytest.mark.parametrize("steady", [True, False])
def test_a_loss_that_is_not_finite_leaves_the_last_good_state(
    base: BaseModel, steady: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, members = [member(base, 3, 2)], [member(base, 1), member(base, 3), member(base, 5)]
    train(cohort(base, calm, steady=steady))
    lockstep = cohort(base, members, steady=steady)
    records = train(lockstep, 2)
    good = members[1].state
    gradients, failing = lockstep._gradients, [True]

    def broken(*arguments: Any) -> Any:
        losses, *others = gradients(*arguments)
        if failing.pop():
            losses[1] = torch.nan
        failing.append(False)
        return losses, *others

    monkeypatch.setattr(lockstep, "_gradients", broken)
    records += train(lockstep)
    assert is_same(members[1].state, good)
    assert (members[1].failure or "").startswith("the loss of step 2 is nan (gradient norm ")
    assert members[1].step == 2
    assert [r.step for r in records if r.member == "m3"] == [0, 1, 2], "nothing after it"
    assert [m.state.updates for m in members] == [7, 2, 7]
    assert [m.failure for m in members[::2]] == [None, None]


@pytest.mark.parametrize("stop", range(1, 7))
def test_a_steady_cohort_resumes_bit_for_bit_also_when_some_have_left(base: BaseModel, stop: int) -> None:
    calm = [member(base, seed) for seed in STEPS]
    whole = train(cohort(base, calm))
    members = [member(base, seed) for seed in STEPS]
    records = train(cohort(base, members), stop)
    records += train(cohort(base, [one for one in members if one.runs]))
    key = lambda record: (record.member, record.step)  # noqa: E731
    assert sorted(records, key=key) == sorted(whole, key=key)
    assert all(is_same(one.state, other.state) for one, other in zip(members, calm, strict=True))


def test_seats_are_given_up_only_when_at_most_half_are_taken(base: BaseModel) -> None:
    members = [member(base, seed, 2 + seed) for seed in range(1, 6)]  # they end after 3, 4, 5, 6, 7 steps
    lockstep, seats = cohort(base, members), []
    while lockstep.running:
        lockstep.step()
        seats.append(len(lockstep._seats))
    assert seats == [5, 5, 5, 5, 2, 1, 0]


@pytest.mark.parametrize(
    ("left", "steady", "seats"),
    [([0, 1], True, [0, 1]), ([0, 2, 3, 4], True, [0, None, 2, 3, 4]), ([1, 2, 3, 4], False, [1, 2, 3, 4])],
)
def test_halves_of_a_cohort_sit_anew(base: BaseModel, left: list[int], steady: bool, seats: list[int | None]) -> None:
    members = [member(base, seed) for seed in STEPS]
    cohort(base, members)
    assert [one.seat for one in members] == [(n, 5) for n in range(5)]
    found = seated([members[n] for n in left], steady=steady)
    assert found == [None if n is None else members[n] for n in seats]


def test_room_grows_and_never_shrinks() -> None:
    room = Room()
    assert [room.for_places(count) for count in (5, 128, 129, 100, 4000, 3000)] == [128, 128, 256, 256, 4096, 4096]
    assert Room().for_places(30_000) == 30_720, "little is wasted where much is predicted"
