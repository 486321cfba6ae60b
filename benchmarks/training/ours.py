"""Regimen's engine on the same rows: the other side of every ratio.

Owns a stream over rows in memory and the timing of steps. Does not know TRL.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.training.peers import Pace
from benchmarks.training.rows import Pair
from regimen.data.batch import StepBatch
from regimen.data.blocks import Block, Example, TextPacker, pack_examples
from regimen.engine.adapter_bank import initial_row
from regimen.engine.base_model import BaseModel
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.states import MemberState
from regimen.study.schema import Adapter, LearningRate, Schedule

SCHEDULE = Schedule(learning_rate=LearningRate(pretrain=1e-3, finetune=1e-3), warmup_steps=0, clip_norm=1.0)


@dataclass(frozen=True)
class Blocks:
    """Blocks in memory as a stream: step n takes the next `sequences` of them, round and round."""

    blocks: Sequence[Block]
    sequences: int
    shift: int = 0

    def batch(self, step: int) -> StepBatch:
        """The batch of step `step`."""
        first = step * self.sequences + self.shift
        chosen = [self.blocks[(first + i) % len(self.blocks)] for i in range(self.sequences)]
        return StepBatch(
            tokens=np.stack([b.tokens for b in chosen]),
            positions=np.stack([b.positions for b in chosen]),
            loss=np.stack([b.loss for b in chosen]),
            lengths=np.array([b.length for b in chosen], dtype=np.int32),
        )


def example_blocks(pairs: Sequence[Pair], block: int, pad: int, *, packing: bool = True) -> list[Block]:
    """Fine-tuning examples in blocks."""
    return list(
        pack_examples([Example(p, a) for p, a in pairs if len(p) + len(a) <= block], block, pad, packing=packing)
    )


def text_blocks(documents: Sequence[Sequence[int]], block: int, pad: int) -> list[Block]:
    """Running text in full blocks."""
    packer = TextPacker(block, pad)
    return [full for document in documents for full in packer.add(document)]


def train(base: BaseModel, streams: Sequence[Any], steps: int, warm: int = 2, **options: Any) -> Pace:
    """Trains one adapter a stream in lockstep."""
    adapter = Adapter()
    members = [
        Member(f"m{k}", stream, 0, steps, 1e-3, None, MemberState.fresh(initial_row(base, adapter, k)))
        for k, stream in enumerate(streams)
    ]
    lockstep = Lockstep(base, adapter, SCHEDULE, members, **options)
    pace, records = Pace(), []
    began, processor = time.perf_counter(), time.process_time()
    for step in range(steps):
        if step == warm:
            began, processor = time.perf_counter(), time.process_time()
        records += lockstep.step()
    records += lockstep.settle()  # on a GPU a step's record comes with the next
    pace.losses = [record.loss for record in records if record.member == members[0].name]
    pace.tokens = sum(record.tokens for record in records if record.step >= warm)
    pace.seconds, pace.cpu_seconds = time.perf_counter() - began, time.process_time() - processor
    return pace
