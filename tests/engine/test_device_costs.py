"""What a training step costs a GPU, counted without one: on `meta` tensors no value can be read back by accident.

Ceilings are what was counted; they may only fall.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes, _get_current_dispatch_mode
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, Qwen2Config

from regimen.data.batch import StepBatch
from regimen.engine import objective
from regimen.engine.adapter_bank import layout
from regimen.engine.assembly import assemble, attention_of
from regimen.engine.base_model import BaseModel
from regimen.engine.device import Arriving
from regimen.engine.head import Head
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.objective import losses_at
from regimen.engine.states import MemberState
from regimen.engine.step_inputs import even
from regimen.study.schema import Adapter, LearningRate, Schedule

SCHEDULE = Schedule(learning_rate=LearningRate(pretrain=1e-3, finetune=1e-3), warmup_steps=2, clip_norm=0.5)
META = torch.device("meta")
QWEN2_05B = {"rows": 64, "block": 512, "hidden": 896, "vocabulary": 151_936}
FREE = ("aten::_unsafe_view", "aten::detach", "aten::empty", "aten::empty_like", "aten::empty_strided")
SYNCS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::item", "aten::equal", "aten::masked_select")
HEAD_LAUNCHES = 124
HEAD_BYTES = 1_560_000  # a supervised token
BODY_LAUNCHES = 3  # of the compiled function between the head's products: two reductions, one that writes
LAUNCHES = {1: 506, 8: 492}  # of a whole step, two layers, bf16, packed rows, eager


@dataclass(frozen=True)
class Launch:
    """One operation on the device, with the shape, stride and dtype of each tensor that it takes."""

    name: str
    operands: tuple[tuple[Any, ...], ...]


class Device(TorchDispatchMode):
    """Notes the operations on `meta` that would be launches, and raises where the host would wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[Launch] = []
        self.bytes = 0  # of operands and results

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        there = any(one.device.type == "meta" for one in tensors)
        name = func.name().split(".")[0]
        if there and name in SYNCS:
            raise AssertionError(f"{name} waits for the device")
        out = func(*args, **kwargs)
        results = [one.device.type for one in tree_leaves(out) if isinstance(one, torch.Tensor)]
        if there and "cpu" in results:
            raise AssertionError(f"{name} copies from the device")
        if "meta" in results and not there and tensors:
            name += ": from the host"
        if "meta" in results and not func.is_view and name not in FREE:
            operands = tuple((one.shape, one.stride(), one.dtype) for one in tensors)
            self.launches.append(Launch(name, operands))
            results_there = [one for one in tree_leaves(out) if isinstance(one, torch.Tensor)]
            self.bytes += sum(one.nbytes for one in {id(one): one for one in (*tensors, *results_there)}.values())
        return out


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function between the head's products counts as the compiler counts it: each operand once, in and out."""

    def body(product: torch.Tensor, targets: torch.Tensor, *_: Any) -> tuple[torch.Tensor, torch.Tensor]:
        counting = _get_current_dispatch_mode()
        with _disable_current_modes():
            out = torch.empty(len(targets), device=META), torch.empty_like(product)
        if isinstance(counting, Device):
            counting.launches += [
                Launch("compiled", ((product.shape, product.stride(), product.dtype),))
            ] * BODY_LAUNCHES
            counting.bytes += product.nbytes + targets.nbytes + sum(one.nbytes for one in out)
        return out

    monkeypatch.setattr(objective, "chunk_losses", body)


def qwen2(layers: int) -> BaseModel:
    """A Qwen2 without values."""
    config = Qwen2Config(
        hidden_size=32, intermediate_size=64, num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=500, tie_word_embeddings=True,
    )  # fmt: skip
    with META:
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention_of(config), dtype=torch.bfloat16)
    return assemble(model.eval().requires_grad_(False), Path(), META, frozenset())


@pytest.fixture(scope="module")
def far() -> BaseModel:
    return qwen2(layers=2)


def packed(seed: int, rows: int = 4, block: int = 32) -> StepBatch:
    """Blocks of several segments of random lengths, padded at the end."""
    rng = np.random.default_rng(seed)
    positions = np.zeros((rows, block), dtype=np.int32)
    lengths = rng.integers(block // 2, block, rows).astype(np.int32)
    for row in range(rows):
        cut = int(rng.integers(2, lengths[row] - 2))
        positions[row, :cut] = np.arange(cut)
        positions[row, cut : lengths[row]] = np.arange(lengths[row] - cut)
    real = np.arange(block) < lengths[:, None]
    return StepBatch(rng.integers(0, 500, (rows, block), dtype=np.int32), positions, (positions > 0) & real, lengths)


@dataclass(frozen=True)
class Packed:
    """Blocks of several segments of random lengths."""

    seed: int

    def batch(self, step: int) -> StepBatch:
        return packed(100 * self.seed + step)


def launches_of_steps(far: BaseModel, members: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> list[list[Launch]]:
    """What each of three steps launches; raises where the host would wait, but for the losses of the step before."""
    monkeypatch.setattr(Arriving, "read", lambda self: torch.zeros(self._values.shape).tolist())
    row = torch.zeros(layout(far, Adapter())[-1].end)
    cohort = [Member(str(k), Packed(seed + k), 0, 9, 1e-3, None, MemberState.fresh(row)) for k in range(members)]
    lockstep = Lockstep(far, Adapter(), SCHEDULE, cohort)
    lockstep.step()  # measures once how much memory a token takes
    steps = []
    for _ in range(3):
        with Device() as device:
            lockstep.step()
        steps.append(device.launches)
    return steps


@pytest.mark.parametrize("members", [1, 8])
def test_a_step_never_waits_for_the_device_and_launches_no_more_than_it_did(
    far: BaseModel, members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for launches in launches_of_steps(far, members, 0, monkeypatch):
        assert len(launches) <= LAUNCHES[members]
        assert [launch.name for launch in launches].count("aten::_to_copy: from the host") == 1, "one upload"


def test_the_tape_does_not_depend_on_the_batch(far: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every operation of every step has the same operands: shapes, strides and dtypes."""
    one, other = (launches_of_steps(far, 2, seed, monkeypatch) for seed in (1, 50))
    assert one == other
    assert one[0] == one[1] == one[2]


@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_layers_compile_to_two_graphs_without_a_break(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many layers: one graph for the first, whose input has no gradient, one for the others; the same for life,
    while members leave, until at most half of the seats are taken."""
    graphs: list[Any] = []

    def kept(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=kept, fullgraph=True))
    monkeypatch.setattr(Arriving, "read", lambda self: torch.zeros(self._values.shape).tolist())
    monkeypatch.setattr(Lockstep, "_write", lambda self, seats: None)
    torch._dynamo.reset()
    far = qwen2(layers=4)
    row = torch.zeros(layout(far, Adapter())[-1].end)
    ends = (3, 5, 9, 9, 9)
    cohort = [Member(str(k), Packed(k), 0, end, 1e-3, None, MemberState.fresh(row)) for k, end in enumerate(ends)]
    lockstep = Lockstep(far, Adapter(), SCHEDULE, cohort, compiled=True)
    while lockstep.running:
        lockstep.step()
    assert len(graphs) == 2


def test_packed_rows_go_to_the_kernel_for_segments(far: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no mask is made: cuDNN's masked attention gives gradients that are NaN."""
    names = [launch.name for launch in launches_of_steps(far, 2, 0, monkeypatch)[0]]
    assert names.count("torch_attn::_varlen_attn") == names.count("torch_attn::_varlen_attn_backward") == 2
    assert not any("scaled_dot_product" in name or "softmax" in name for name in names)
    assert "aten::tril_" not in names


def test_the_mode_sees_what_it_is_for() -> None:
    with Device() as device, pytest.raises(AssertionError, match="nonzero"):
        torch.ones(3, device=META).nonzero()
    with device, pytest.raises(AssertionError, match="_local_scalar_dense"):
        bool(torch.ones(3, device=META).any())


def head_of_eight() -> tuple[torch.Tensor, Head, torch.Tensor, torch.Tensor, torch.Tensor]:
    """What the head takes of 8 x 8 x 512 tokens, loss on all but the first of a row, in Qwen2-0.5B's shape."""
    shape = QWEN2_05B
    rows = shape["rows"] * shape["block"]
    hidden = torch.empty(shape["rows"], shape["block"], shape["hidden"], device=META, dtype=torch.bfloat16)
    weight = torch.empty(shape["vocabulary"], shape["hidden"], device=META, dtype=torch.bfloat16)
    places = torch.empty(rows - shape["rows"], device=META, dtype=torch.long)
    return hidden.requires_grad_(), Head(weight), places, places.clone(), torch.empty(len(places), device=META)


def test_the_head_of_eight_adapters_takes_few_launches_and_moves_little() -> None:
    """4,172 launches and 11.7 MB a token with the CPU's chunks. Bytes: each operand of an operation once."""
    hidden, head, places, targets, weights = head_of_eight()
    with Device() as device:
        losses_at(hidden, head, places, targets, weights)[0].backward()
    assert len(device.launches) <= HEAD_LAUNCHES
    assert device.bytes / len(places) <= HEAD_BYTES


@pytest.mark.parametrize(("rows", "most", "each"), [(8, 8, 8), (8, 5, 4), (8, 3, 3), (8, 100, 8), (9, 4, 3), (7, 1, 1)])
def test_micro_batches_areeven(rows: int, most: int, each: int) -> None:
    assert even(rows, most) == each
    assert -(-rows // each) == -(-rows // most), "no more passes than need be"
