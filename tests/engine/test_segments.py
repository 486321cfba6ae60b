"""Attention within segments, as GPUs get it: the bounds against the mask, the call against each segment by itself."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers.masking_utils import (
    causal_mask_function,
    chunked_causal_mask_function,
    sliding_window_causal_mask_function,
)

from regimen.engine import attention, segments
from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel, segment_mask
from regimen.engine.loading import load_base
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.segments import Segments, segment_attention, segment_bounds, under
from regimen.engine.states import MemberState
from regimen.study.schema import Adapter, LearningRate, Schedule
from tests.support.families import ALONE, FAMILIES, REFUSED, marked, save_family
from tests.support.streams import Stream

LENGTHS = st.lists(st.lists(st.integers(1, 7), min_size=1, max_size=5), min_size=1, max_size=3)


def positions_of(rows: list[list[int]]) -> np.ndarray:
    """Rows of segments of these lengths; what is left of a row is one more segment, as padding is."""
    width = max(sum(row) for row in rows)
    filled = [row + [width - sum(row)] * (width > sum(row)) for row in rows]
    return np.array([[place for length in row for place in range(length)] for row in filled], dtype=np.int32)


def segments_of(positions: np.ndarray, spare: int = 0, window: int | None = None) -> Segments:
    bounds = np.pad(segment_bounds(positions), (0, spare), constant_values=positions.size)
    return Segments(torch.from_numpy(bounds), positions.shape[0], positions.shape[1], window)


@given(LENGTHS, st.integers(0, 4), st.none() | st.integers(1, 8))
def test_bounds_and_mask_describe_the_same_pairs(rows: list[list[int]], spare: int, window: int | None) -> None:
    positions = positions_of(rows)
    found = segments_of(positions, spare, window)
    bounds, pairs = found.bounds.tolist(), set()
    assert bounds[0] == 0
    assert bounds == sorted(bounds)
    for start, end in pairwise(bounds):
        for query in range(start, end):
            first = start if window is None else max(start, query - window + 1)
            pairs |= {(query, key) for key in range(first, query + 1)}
    length = positions.shape[1]
    mask = segment_mask(torch.from_numpy(positions), always=True)
    assert mask is not None
    if window is not None:
        mask = mask & torch.ones(length, length, dtype=torch.bool).triu(1 - window)
    masked = {(row * length + q, row * length + k) for row, _, q, k in mask.nonzero().tolist()}
    assert pairs == masked
    assert torch.equal(found.mask(), mask)


def alone(q: Any, k: Any, v: Any, bounds: Any, _: Any, longest: int, longest_key: int, **more: Any) -> torch.Tensor:
    """torch's kernel for segments, by what its documentation says: each segment by itself, on the CPU."""
    left, right = more["window_size"]
    assert right == 0, "causal"
    assert longest == longest_key >= max(bounds.diff().tolist())
    assert more["enable_gqa"] == (q.shape[1] != k.shape[1])
    parts = [q[:0]]
    for start, end in pairwise(bounds.tolist()):
        some = [each[start:end].transpose(0, 1)[None] for each in (q, k, v)]
        allowed = torch.ones(end - start, end - start, dtype=torch.bool).tril_()
        if left >= 0:
            allowed = allowed.triu_(-left)
        out = functional.scaled_dot_product_attention(
            *some, attn_mask=allowed, scale=more["scale"], enable_gqa=more["enable_gqa"]
        )
        parts.append(out[0].transpose(0, 1))
    return torch.cat(parts)


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bases on the CPU take segments, and the kernel for them is the reference above."""
    monkeypatch.setattr(segments, "is_far", lambda device: True)
    monkeypatch.setattr(segments, "varlen_attn", alone)
    monkeypatch.setattr(BaseModel, "takes_segments", property(lambda base: base.alone is None))
    monkeypatch.setattr(segments, "takes_segments", lambda device, dtype: True)


@pytest.mark.usefixtures("on_cpu")
@settings(max_examples=25)
@given(LENGTHS, st.sampled_from([1, 2, 4]), st.none() | st.integers(1, 5), st.none() | st.floats(0.1, 1.0))
def test_values_and_gradients_are_those_of_the_mask(
    rows: list[list[int]], groups: int, window: int | None, scale: float | None
) -> None:
    torch.manual_seed(len(rows))
    positions = positions_of(rows)
    shape = positions.shape
    leaves = [torch.randn(shape[0], heads, shape[1], 8, requires_grad=True) for heads in (4, groups, groups)]
    upstream = torch.randn(shape[0], shape[1], 4, 8)
    given = segments_of(positions, 2, window)
    q, k, v = leaves
    mine = segment_attention(q, k, v, given, scale)
    theirs = functional.scaled_dot_product_attention(q, k, v, attn_mask=given.mask(), scale=scale, enable_gqa=True)
    theirs = theirs.transpose(1, 2)
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    for one, other in zip(
        torch.autograd.grad(mine, leaves, upstream), torch.autograd.grad(theirs, leaves, upstream), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_rules_of_layers_are_followed_or_need_a_mask() -> None:
    given = segments_of(positions_of([[3, 4]]))
    assert under(given, causal_mask_function) == given
    assert under(given, sliding_window_causal_mask_function(5)) == given._replace(window=5)
    assert under(given, chunked_causal_mask_function(4, torch.zeros(1))) is None


@pytest.mark.usefixtures("on_cpu")
def test_a_cohort_trains_as_with_masks(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = Schedule(learning_rate=LearningRate(pretrain=1e-3, finetune=1e-3), warmup_steps=0, clip_norm=0.5)

    def train() -> list[float]:
        states = [MemberState.fresh(initial_row(base, Adapter(), seed)) for seed in (1, 2)]
        members = [Member(str(n), Stream(n), 0, 4, 5e-3, None, state) for n, state in enumerate(states)]
        lockstep = Lockstep(base, Adapter(), schedule, members, steady=True)
        return [record.loss for _ in range(4) for record in lockstep.step()]

    used = []
    monkeypatch.setattr(attention, "segment_attention", lambda *a: used.append(1) or segment_attention(*a))
    with_segments = train()
    assert len(used) >= 4 * base.config.num_hidden_layers
    monkeypatch.setattr(BaseModel, "takes_segments", property(lambda base: False))
    assert with_segments == pytest.approx(train(), rel=1e-4)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.filterwarnings("ignore")  # transformers' own
@pytest.mark.parametrize("name", [marked(name) for name in FAMILIES if name not in {*ALONE, *REFUSED}])
def test_every_family_sees_its_segments(name: str, tmp_path: Any) -> None:
    """Windows of 6, 8 and more keys among them; soft caps, sinks and own attention get the mask that segments make."""
    base = load_base(save_family(name, tmp_path), "fp32")
    positions = positions_of([[5, 19], [24], [13, 4]])
    tokens = torch.randint(1, 60, positions.shape, generator=torch.manual_seed(1))
    bank = AdapterBank(base, Adapter(), [initial_row(base, Adapter(), 1)])
    with bank.attached():
        places = torch.from_numpy(positions).long()
        given = base.apart(positions)
        assert isinstance(given, Segments)
        mine = base.body(tokens, places, given)
        theirs = base.body(tokens, places, segment_mask(places, always=True))
    torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)
