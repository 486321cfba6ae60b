"""Lockstep training: K adapters step together over one frozen base. A lone run is a cohort of one.

Owns one optimiser step of all running members: their batches in one pass (or several micro-batches), their losses,
clipping and updates, each its own. On a GPU a cohort is steady: its shapes do not depend on the batch, nothing within
a step waits for the device, and losses are read one step late. Does not know sources, files, stages or when to stop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from regimen.data.batch import StepBatch
from regimen.engine.banks import open_bank
from regimen.engine.base_model import BaseModel, segment_mask
from regimen.engine.device import Arriving, Parcel, is_far
from regimen.engine.dropout import Draws, dropped
from regimen.engine.memory import counting_kept, tokens_that_fit
from regimen.engine.objective import losses_at
from regimen.engine.optimiser import AdamState, adamw_update, clip_rows, learning_rate
from regimen.engine.prospect import too_long
from regimen.engine.seats import Member, empty, moves, seated
from regimen.engine.segments import Segments
from regimen.engine.states import MemberState
from regimen.engine.step_inputs import PassInputs, Room, even, idle_batch, step_arrays, texts_in_a_row
from regimen.errors import ModelError, OutOfMemory
from regimen.study.schema import Adapter, Schedule

__all__ = ["Lockstep", "Member", "StepRecord"]

PASS_TOKENS = {"cpu": 8192, "cuda": 65536}  # at most so many tokens in one pass, all members together


@dataclass(frozen=True)
class StepRecord:
    """The result of one member's step: mean loss over its supervised tokens (nats), learning rate, gradient norm."""

    member: str
    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    tokens: int
    loss_tokens: int


class _Launched(NamedTuple):
    """A step whose losses and norms (2, K) have not been read: who took part, with which batch, at which rate."""

    members: list[tuple[int, Member, int, StepBatch, float]]
    found: Arriving


@dataclass
class Lockstep:
    """A cohort under way. `step()` until `running` is empty; a member's `state` is current after `settle()`.

    A `steady` cohort keeps its seats, pads to constant shapes, and reads losses one step late: the record of a step
    comes with the next one, at the latest with the member's last one or with `settle()`. By default it is steady
    where the device computes beside the host.
    """

    base: BaseModel
    adapter: Adapter
    schedule: Schedule
    members: Sequence[Member]
    pass_tokens: int | None = None
    memory: int | None = None  # bytes to size micro-batches for; None: what the device has
    compiled: bool = False  # decoder layers compiled; every pass then has the block's full width and a mask
    steady: bool | None = None
    _seats: list[Member | None] = field(init=False, default_factory=list)
    _late: _Launched | None = field(init=False, default=None)
    _room: Room | None = field(init=False, default=None)
    _budget: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.steady is None:
            self.steady = is_far(self.base.device)
        self.compiled = self.compiled and not self.adapter.dropout  # whose drawing cannot be compiled
        self._room = Room() if self.steady else None
        self._load(seated(self.members, steady=bool(self.steady)))

    def _load(self, seats: list[Member | None]) -> None:
        """Builds the bank and the optimiser state of the members on these seats."""
        self._seats = seats
        if not self.running:
            return
        device = self.base.device
        nobody = MemberState.fresh(torch.zeros_like(self.running[0].state.row))
        states = [nobody if member is None else member.state for member in seats]
        self._bank = open_bank(self.base, self.adapter, [state.row for state in states])
        self._adam = AdamState(
            mean=torch.stack([state.mean for state in states]).to(device),
            square=torch.stack([state.square for state in states]).to(device),
            updates=torch.tensor([state.updates for state in states], device=device),
        )
        self._sound = torch.ones(len(seats), dtype=torch.bool, device=device)

    @property
    def running(self) -> list[Member]:
        """The members that have steps to go."""
        return [member for member in self._seats if member is not None and member.runs]

    @property
    def pass_size(self) -> int:
        """The number of tokens that a pass may hold, once the first step has settled it."""
        return self._budget

    def settle(self) -> list[StepRecord]:
        """Writes the members' weights and moments back into their states; returns the records not returned so far."""
        records = self._read_late()
        self._write(range(len(self._seats)))
        return records

    def _write(self, seats: Sequence[int]) -> None:
        for index in seats:
            if (member := self._seats[index]) is not None:
                member.state = MemberState(
                    row=self._bank.row(index),
                    mean=self._adam.mean[index].cpu().clone(),
                    square=self._adam.square[index].cpu().clone(),
                    updates=int(self._adam.updates[index]),
                    kept=member.state.kept,
                )

    def step(self) -> list[StepRecord]:
        """One optimiser step of every running member; those at their end, or failed, leave the cohort settled."""
        running = [(seat, member) for seat, member in enumerate(self._seats) if member is not None and member.runs]
        batches = {seat: member.stream.batch(member.step) for seat, member in running}
        rates = {seat: self._rate(member) for seat, member in running}
        idle = idle_batch(*batches[running[0][0]].tokens.shape)
        order = range(len(self._seats))
        losses, by_seat, live = self._gradients(
            [batches.get(seat, idle) for seat in order],
            [rates.get(seat, 0.0) for seat in order],
            [seat in batches for seat in order],
        )
        norms = clip_rows(self._bank.grads, self.schedule.clip_norm)
        self._update(losses, norms, by_seat, live)
        took = [(seat, member, member.step, batches[seat], rates[seat]) for seat, member in running]
        launched = _Launched(took, Arriving(torch.stack([losses, norms])))
        for _, member in running:
            member.step += 1
        records = self._read_late()
        self._late = launched
        if not self.steady or not all(member.runs for _, member in running):
            records += self._read_late()
        return records + self._leave()

    def _rate(self, member: Member) -> float:
        schedule = member.schedule or self.schedule
        return learning_rate(member.step, member.peak, schedule, member.stable, member.last)

    def _update(self, losses: Tensor, norms: Tensor, rates: Tensor, live: Tensor) -> None:
        """Updates the live members whose loss and gradient are finite, and were at every step before; others stay."""
        finite = torch.isfinite(losses) & torch.isfinite(norms)
        chosen: Tensor | None = finite
        if self.steady:
            self._sound &= finite | ~live
            chosen = live & self._sound
        elif bool(finite.all()):
            chosen = None
        adamw_update(self._bank.weights, self._bank.grads, self._adam, rates, self.schedule, chosen)

    def _read_late(self) -> list[StepRecord]:
        """The records of the step that has not been read; marks the members that failed in it."""
        late, self._late = self._late, None
        if late is None:
            return []
        losses, norms = late.found.read()
        records = []
        for seat, member, step, batch, rate in late.members:
            if member.failure:
                continue
            loss, norm = losses[seat], norms[seat]
            records.append(StepRecord(member.name, step, loss, rate, norm, batch.tokens_used, batch.loss_tokens))
            if not (math.isfinite(loss) and math.isfinite(norm)):
                member.failure = f"the loss of step {step} is {loss} (gradient norm {norm}); lower the learning rate"
                member.step = step
        return records

    def _leave(self) -> list[StepRecord]:
        """Settles the cohort where a member has ended or failed; its seat goes empty, or all move to fewer seats."""
        if all(member is None or member.runs for member in self._seats):
            return []
        records = self.settle()
        if moves(self._seats, steady=bool(self.steady)):
            self._load(seated(self.running, steady=bool(self.steady)))
        else:
            self._seats = empty(self._seats)
        return records

    def _gradients(
        self, batches: Sequence[StepBatch], rates: Sequence[float] = (), live: Sequence[bool] = ()
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fills the bank's gradients; returns each seat's mean loss (K,), fp32, and its rate and life on the device."""
        rows, block = batches[0].tokens.shape
        if self.base.alone is not None and any(texts_in_a_row(batch) for batch in batches):
            raise ModelError(self.base.alone)
        self._budget = self._budget or self._measured(batches)
        micro = even(rows, max(1, self._budget // (block * len(batches))))
        while True:
            try:
                return self._accumulate(batches, micro, rates, live)
            except torch.cuda.OutOfMemoryError as fault:
                if micro == 1:
                    less = "use a smaller --cohort-width" if len(batches) > 1 else "make batch.block shorter"
                    raise OutOfMemory(
                        f"a pass of {len(batches)} x {block} tokens does not fit into the memory of "
                        f"{self.base.device}; {less}"
                    ) from fault
            # outside of the handler, whose traceback holds the failed pass
            micro = even(rows, max(1, micro // 2))
            self._budget = micro * block * len(batches)
            torch.cuda.empty_cache()

    def _measured(self, batches: Sequence[StepBatch]) -> int:
        """Tokens of a pass, from what one block keeps for the backward pass; measured once for a base and a shape."""
        block = batches[0].tokens.shape[1]
        if fault := too_long(block, self.base.context):
            raise ModelError(fault)
        key = (self.adapter, block)
        if key not in self.base.kept:
            positions = torch.arange(block, device=self.base.device)[None]
            # alone, so that a cohort resumed with fewer members measures the same
            bank = (
                self._bank if len(self._bank) == 1 else open_bank(self.base, self.adapter, [self.running[0].state.row])
            )
            dropping = self._dropped(self._seats[:1], slice(0, 1), block, block)
            with bank.attached(), dropping, counting_kept([*self.base.model.parameters(), bank.weights]) as kept:
                halves = self.base.apart(np.arange(block)[None] % (block // 2 + 1))
                self.base.body(torch.zeros_like(positions), positions, halves)
            self.base.kept[key] = kept.total / block
        limit = self.pass_tokens or PASS_TOKENS.get(self.base.device.type, PASS_TOKENS["cpu"])
        return min(limit, tokens_that_fit(self.base.kept[key], self.base.device, self.memory))

    def _accumulate(
        self, batches: Sequence[StepBatch], micro: int, rates: Sequence[float], live: Sequence[bool]
    ) -> tuple[Tensor, Tensor, Tensor]:
        device = self.base.device
        arrays = step_arrays(batches, rates, live, micro, room=self._room, wide=self.compiled or bool(self.steady))
        by_seat, alive, passes = arrays.inputs(Parcel.of(arrays.arrays, device).sent(device))
        self._bank.grads.zero_()
        totals = torch.zeros(len(batches), device=device)
        with self._bank.attached(), self.base.compiled_layers() if self.compiled else nullcontext():
            for inputs in passes:
                totals += self._one_pass(inputs)
        return totals, by_seat, alive

    def _one_pass(self, inputs: PassInputs) -> Tensor:
        """Forward and backward of some rows of every member; returns their share of each member's loss."""
        with self._dropped(self._seats, inputs.rows, inputs.block, inputs.tokens.shape[1]):
            hidden = self.base.body(inputs.tokens, inputs.positions, self._mask(inputs))
        loss, losses = losses_at(hidden, self.base.output, inputs.places, inputs.targets, inputs.weights)
        loss.backward()
        members, tokens = len(self._bank), inputs.tokens.numel()
        if self.steady:  # summed in an order that does not depend on the batch; the place past the end is padding's
            spread = losses.new_zeros(tokens + 1).scatter_(0, inputs.places, losses * inputs.weights)
            return spread[:tokens].view(members, -1).sum(dim=1)
        member = inputs.places.div(tokens // members, rounding_mode="floor")
        return losses.new_zeros(members).index_add_(0, member, losses * inputs.weights)

    def _dropped(
        self, seats: Sequence[Member | None], rows: slice, block: int, width: int
    ) -> AbstractContextManager[None]:
        """Within, what enters the adapters on these seats and rows is dropped out, if it is to be."""
        if not self.adapter.dropout:
            return nullcontext()
        members = [(0, 0) if member is None else (member.seed, member.step) for member in seats]
        return dropped(self.base, self.adapter, Draws(members, rows, block, width))

    def _mask(self, inputs: PassInputs) -> Tensor | Segments | None:
        """The segments or their mask; None for a base that takes none, and where every row is one segment."""
        if self.base.alone is not None or not (self.steady or self.compiled or inputs.several):
            return None
        if self.base.takes_segments:
            return Segments(inputs.bounds, inputs.tokens.shape[0], inputs.tokens.shape[1])
        return segment_mask(inputs.positions, always=True)
