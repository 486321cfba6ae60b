"""Lockstep training: K adapters step together over one frozen base. A lone run is a cohort of one.

Owns one optimiser step of all running members: their batches in one pass (or several micro-batches), their losses,
clipping and updates, each its own. Does not know sources, files, stages or when to stop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from regimen.data.batch import BatchStream, StepBatch
from regimen.engine.banks import open_bank
from regimen.engine.base_model import BaseModel, segment_mask
from regimen.engine.dropout import Draws, dropped
from regimen.engine.memory import counting_kept, tokens_that_fit
from regimen.engine.objective import sent, token_losses
from regimen.engine.optimiser import AdamState, adamw_update, clip_rows, learning_rate
from regimen.engine.prospect import too_long
from regimen.engine.states import MemberState
from regimen.errors import ModelError, OutOfMemory
from regimen.study.schema import Adapter, Schedule

PASS_TOKENS = {"cpu": 8192, "cuda": 65536}  # at most so many tokens in one pass, all members together


@dataclass
class Member:
    """One run of a cohort: its data, its learning rate, the steps it has to go, the state it begins with.

    `schedule` is its own (None: the cohort's) and decides its rates; what it says of updates must be the cohort's.
    `seed` decides what its dropout leaves out.

    `step` is the next step of its leg, `last` one past its last; `stable` is where its cooldown begins (None: it is a
    piece of trunk); a cooldown ends with its leg.
    """

    name: str
    stream: BatchStream
    step: int
    last: int
    peak: float
    stable: int | None
    state: MemberState
    failure: str | None = None
    schedule: Schedule | None = None
    seed: int = 0


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


@dataclass
class Lockstep:
    """A cohort under way. `step()` until `running` is empty; a member's `state` is current after `settle()`."""

    base: BaseModel
    adapter: Adapter
    schedule: Schedule
    members: Sequence[Member]
    pass_tokens: int | None = None
    memory: int | None = None  # bytes to size micro-batches for; None: what the device has
    compiled: bool = False  # decoder layers compiled; every pass then has the block's full width and a mask
    running: list[Member] = field(init=False)

    def __post_init__(self) -> None:
        self.running = [member for member in self.members if member.step < member.last]
        self.compiled = self.compiled and not self.adapter.dropout  # whose drawing cannot be compiled
        self._budget = 0
        self._load()

    def _load(self) -> None:
        """Builds the bank and the optimiser state of the members that still run."""
        if not self.running:
            return
        device = self.base.device
        states = [member.state for member in self.running]
        self._bank = open_bank(self.base, self.adapter, [state.row for state in states])
        self._adam = AdamState(
            mean=torch.stack([state.mean for state in states]).to(device),
            square=torch.stack([state.square for state in states]).to(device),
            updates=torch.tensor([state.updates for state in states], device=device),
        )

    @property
    def pass_size(self) -> int:
        """The number of tokens that a pass may hold, once the first step has settled it."""
        return self._budget

    def settle(self) -> None:
        """Writes the running members' weights and moments back into their states."""
        for index, member in enumerate(self.running):
            member.state = MemberState(
                row=self._bank.row(index),
                mean=self._adam.mean[index].cpu().clone(),
                square=self._adam.square[index].cpu().clone(),
                updates=int(self._adam.updates[index]),
                kept=member.state.kept,
            )

    def step(self) -> list[StepRecord]:
        """One optimiser step of every running member; those at their end, or failed, leave the cohort settled."""
        batches = [member.stream.batch(member.step) for member in self.running]
        losses = self._gradients(batches)
        norms = clip_rows(self._bank.grads, self.schedule.clip_norm)
        rates = [self._rate(member) for member in self.running]
        finite = torch.isfinite(losses) & torch.isfinite(norms)
        self._bank.grads.masked_fill_(~finite[:, None], 0.0)
        adamw_update(
            self._bank.weights,
            self._bank.grads,
            self._adam,
            sent(torch.tensor(rates, dtype=torch.float64), self.base.device) * finite,
            self.schedule,
        )
        read = torch.stack([losses, norms]).tolist()  # the one place where a step waits for the device
        records = [
            StepRecord(member.name, member.step, loss, rate, norm, batch.tokens_used, batch.loss_tokens)
            for member, batch, loss, rate, norm in zip(self.running, batches, read[0], rates, read[1], strict=True)
        ]
        self._advance([math.isfinite(one.loss) and math.isfinite(one.grad_norm) for one in records], records)
        return records

    def _rate(self, member: Member) -> float:
        schedule = member.schedule or self.schedule
        return learning_rate(member.step, member.peak, schedule, member.stable, member.last)

    def _advance(self, finite: list[bool], records: list[StepRecord]) -> None:
        for member, is_finite, record in zip(self.running, finite, records, strict=True):
            if is_finite:
                member.step += 1
            else:
                member.failure = (
                    f"the loss of step {record.step} is {record.loss} (gradient norm {record.grad_norm}); "
                    "lower the learning rate"
                )
        if any(member.step >= member.last or member.failure for member in self.running):
            self.settle()
            self.running = [m for m in self.running if m.step < m.last and not m.failure]
            self._load()

    def _gradients(self, batches: Sequence[StepBatch]) -> Tensor:
        """Fills the bank's gradients; returns each member's mean loss (K,), fp32."""
        rows, block = batches[0].tokens.shape
        self._budget = self._budget or self._measured(batches)
        micro = _even(rows, max(1, self._budget // (block * len(batches))))
        while True:
            try:
                return self._accumulate(batches, micro)
            except torch.cuda.OutOfMemoryError as fault:
                if micro == 1:
                    less = "use a smaller --cohort-width" if len(batches) > 1 else "make batch.block shorter"
                    raise OutOfMemory(
                        f"a pass of {len(batches)} x {block} tokens does not fit into the memory of "
                        f"{self.base.device}; {less}"
                    ) from fault
            # outside of the handler, whose traceback holds the failed pass
            micro = _even(rows, max(1, micro // 2))
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
            bank = self._bank if len(self._bank) == 1 else open_bank(self.base, self.adapter, [self._bank.row(0)])
            dropping = self._dropped(self.running[:1], slice(0, 1), block, block)
            with bank.attached(), dropping, counting_kept([*self.base.model.parameters(), bank.weights]) as kept:
                self.base.body(torch.zeros_like(positions), positions, segment_mask(positions % (block // 2 + 1)))
            self.base.kept[key] = kept.total / block
        limit = self.pass_tokens or PASS_TOKENS.get(self.base.device.type, PASS_TOKENS["cpu"])
        return min(limit, tokens_that_fit(self.base.kept[key], self.base.device, self.memory))

    def _accumulate(self, batches: Sequence[StepBatch], micro: int) -> Tensor:
        device = self.base.device
        self._bank.grads.zero_()
        counts = torch.tensor([max(1, batch.loss_tokens) for batch in batches], dtype=torch.float32)
        weights = sent(1.0 / counts, device)
        totals = torch.zeros(len(batches), device=device)
        with self._bank.attached(), self.base.compiled_layers() if self.compiled else nullcontext():
            for start in range(0, len(batches[0].tokens), micro):
                totals += self._one_pass(batches, slice(start, start + micro), weights)
        return totals

    def _one_pass(self, batches: Sequence[StepBatch], rows: slice, weights: Tensor) -> Tensor:
        """Forward and backward of some rows of every member; returns their share of each member's loss."""
        width = max(1, int(max(batch.lengths[rows].max() for batch in batches)))
        if self.compiled:
            width = batches[0].tokens.shape[1]
        device = self.base.device
        tokens = _stacked([batch.tokens[rows, :width] for batch in batches])
        places = _stacked([batch.positions[rows, :width] for batch in batches])
        predicted = _stacked([batch.loss[rows, :width] for batch in batches])  # stays here: its indices are made here
        count = tokens.shape[0] // len(batches)
        member = sent(predicted.nonzero(as_tuple=True)[0].div(count, rounding_mode="floor"), device)
        tokens, positions = sent(tokens, device), sent(places, device)
        with self._dropped(self.running, rows, batches[0].tokens.shape[1], width):
            hidden = self.base.body(tokens, positions, self._mask(positions, places, batches, rows))
        by_row = weights.repeat_interleave(count, output_size=count * len(batches))
        loss, losses = token_losses(hidden, self.base.output, tokens, predicted, by_row)
        loss.backward()
        return torch.zeros_like(weights).index_add_(0, member, losses * weights[member])

    def _dropped(self, members: Sequence[Member], rows: slice, block: int, width: int) -> AbstractContextManager[None]:
        """Within, what enters these members' adapters on these rows is dropped out, if it is to be."""
        if not self.adapter.dropout:
            return nullcontext()
        draws = Draws([(member.seed, member.step) for member in members], rows, block, width)
        return dropped(self.base, self.adapter, draws)

    def _mask(self, positions: Tensor, places: Tensor, batches: Sequence[StepBatch], rows: slice) -> Tensor | None:
        """The mask of the segments, whether there are several by `places`, the positions on the CPU; raises ModelError
        for a base that cannot keep apart those that are there."""
        if self.base.alone is None:
            several = self.compiled or bool((places[:, 1:] == 0).any())
            return segment_mask(positions, always=True) if several else None
        for batch in batches:
            real = np.arange(batch.positions.shape[1]) < batch.lengths[rows, None]
            if ((batch.positions[rows] == 0) & real)[:, 1:].any():
                raise ModelError(self.base.alone)
        return None


def _stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    """The rows of all members, on the CPU."""
    stacked = torch.from_numpy(np.concatenate(arrays))
    return stacked.long() if stacked.dtype == torch.int32 else stacked


def _even(rows: int, most: int) -> int:
    """The rows of a micro-batch, at most so many: as few passes as that allows, as equal as they can be."""
    return math.ceil(rows / math.ceil(rows / most))
