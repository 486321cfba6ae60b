"""What is equal to the last bit: a training done twice, one that is stopped and resumed, answers given twice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.gpu.common import Clock, Row, Scale, attempts, base_of
from benchmarks.training.ours import SCHEDULE
from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel
from regimen.engine.bench import RandomBlocks
from regimen.engine.checkpoints import load_state, save_state
from regimen.engine.generation import generate
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.scoring import Scored, score
from regimen.engine.states import MemberState
from regimen.study.schema import Adapter

STEPS = 6


def repeats(scale: Scale, clock: Clock) -> None:
    """Each true or false, with the largest difference."""
    base = base_of(scale)
    members = scale.widths[-1]
    tries: list[tuple[Row, Callable[[], Row]]] = []
    for compiled in (False, True) if scale.compiling else (False,):
        way = "compiled" if compiled else "eager"
        tries.append(({"what": "a training done twice", "way": way}, partial(_twice, base, scale, members, compiled)))
        tries.append(({"what": "a training resumed", "way": way}, partial(_resumed, base, scale, members, compiled)))
    tries.append(({"what": "scores given twice"}, lambda: _scores(base, scale)))
    tries.append(({"what": "texts generated twice"}, lambda: _texts(base, scale)))
    attempts(clock, tries)


def _trained(
    base: BaseModel, scale: Scale, states: Sequence[MemberState], steps: range, compiled: bool
) -> list[MemberState]:
    shape = (scale.batch.sequences, scale.batch.block)
    members = [
        Member(str(k), RandomBlocks(k, shape, scale.config.vocab_size), steps.start, steps.stop, 1e-3, None, state)
        for k, state in enumerate(states)
    ]
    lockstep = Lockstep(base, Adapter(), SCHEDULE, members, compiled=compiled)
    while lockstep.running:
        lockstep.step()
    lockstep.settle()
    return [member.state for member in members]


def _fresh(base: BaseModel, count: int) -> list[MemberState]:
    return [MemberState.fresh(initial_row(base, Adapter(), seed)) for seed in range(count)]


def _compared(found: Sequence[MemberState], expected: Sequence[MemberState]) -> Row:
    pairs: list[tuple[Tensor, Tensor]] = [(one.row, other.row) for one, other in zip(found, expected, strict=True)]
    return {
        "equal": all(torch.equal(one, other) for one, other in pairs),
        "largest_difference": max(float((one - other).abs().max()) for one, other in pairs),
    }


def _twice(base: BaseModel, scale: Scale, members: int, compiled: bool) -> Row:
    first, again = (_trained(base, scale, _fresh(base, members), range(STEPS), compiled) for _ in range(2))
    return _compared(again, first)


def _resumed(base: BaseModel, scale: Scale, members: int, compiled: bool) -> Row:
    through = _trained(base, scale, _fresh(base, members), range(STEPS), compiled)
    half = _trained(base, scale, _fresh(base, members), range(STEPS // 2), compiled)
    with tempfile.TemporaryDirectory() as name:
        for k, state in enumerate(half):
            save_state(Path(name) / f"{k}.safetensors", state)
        read = [load_state(Path(name) / f"{k}.safetensors") for k in range(members)]
    return _compared(_trained(base, scale, read, range(STEPS // 2, STEPS), compiled), through)


def _prompts(scale: Scale) -> list[list[int]]:
    return [[7 + n, 11, 13 + n % 5, *range(20, 20 + n % 9)] for n in range(min(64, scale.prompts))]


def _bank(base: BaseModel) -> AdapterBank:
    return AdapterBank(base, Adapter(), [initial_row(base, Adapter(), seed) + 0.01 for seed in range(2)])


def _scores(base: BaseModel, scale: Scale) -> Row:
    items = [Scored(prompt, [[5], [6, 7], [8, 9, 10]]) for prompt in _prompts(scale)]
    bank = _bank(base)
    one, other = (torch.tensor([v for values in score(base, bank, items) for v in values.flat]) for _ in range(2))
    return {"equal": torch.equal(one, other), "largest_difference": float((one - other).abs().max())}


def _texts(base: BaseModel, scale: Scale) -> Row:
    one, other = (generate(base, _bank(base), _prompts(scale), scale.new_tokens, lambda ids: False) for _ in range(2))
    return {"equal": one == other}
