"""Decoding in memory that stays where it is, as on a GPU: the same tokens, steps that repeat, no waiting, its cost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, Qwen2Config

from regimen.engine import decoding, generation, prefixes, room, scoring
from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.assembly import assemble, attention_of
from regimen.engine.base_model import BaseModel
from regimen.engine.continuations import Continuation
from regimen.engine.decoding import Slate, bucket, columns_for
from regimen.engine.generation import fill_group
from regimen.engine.prefill import Prefill
from regimen.engine.prefixes import groups_of
from regimen.engine.recording import Recorder, Waits
from regimen.engine.rows_under_way import RowsUnderWay
from regimen.engine.scoring import Scored, score
from regimen.errors import OutOfMemory
from regimen.study.schema import Adapter
from tests.support.tape import Tape, taped

TOKENS = st.lists(st.integers(1, 96), min_size=1, max_size=12)
PROMPTS = st.lists(TOKENS, min_size=1, max_size=9)


def bank_of(base: BaseModel, members: int) -> AdapterBank | None:
    if not members:
        return None
    generator = torch.Generator().manual_seed(2)
    fresh = [initial_row(base, Adapter(), seed) for seed in range(members)]
    return AdapterBank(base, Adapter(), [row + 0.1 * torch.randn(row.shape, generator=generator) for row in fresh])


def decoded(
    base: BaseModel, bank: AdapterBank | None, prompts: Sequence[Sequence[int]], new: int, *, fixed: bool
) -> list[list[tuple[list[int], str]]]:
    results = [[Continuation() for _ in range(len(bank) if bank else 1)] for _ in prompts]
    for group in groups_of(prompts):
        fill_group(base, bank, prompts, group, results, new, lambda ids: ids[-1] % 11 == 0, fixed=fixed)
    return [[(one.ids, one.ending) for one in row] for row in results]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Steps are recorded and repeated, by the stand-in of a graph."""
    made: list[Recorder] = []

    def recorder(device: torch.device) -> Recorder:
        made.append(Recorder(device, record=taped))
        return made[-1]

    monkeypatch.setattr(generation, "Recorder", recorder)
    return made


@given(
    PROMPTS,
    st.lists(st.integers(1, 96), min_size=3, max_size=6),
    st.integers(0, 3),
    st.integers(1, 14),
    st.sampled_from([3, 512]),
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tokens_are_the_same_in_place_and_from_recordings(
    base: BaseModel,
    recorded: list[Recorder],
    prompts: list[list[int]],
    start: list[int],
    members: int,
    new: int,
    most: int,
) -> None:
    """Prompts with and without a shared beginning, rows that end early, buckets of a few columns."""
    prompts = [*prompts, *([*start, *tail] for tail in prompts)]
    bank = bank_of(base, members)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "CPU", replace(room.CPU, rows=most, prefill_tokens=24))
        patch.setattr(prefixes, "LEAST_SHARED", 2)
        patch.setattr(prefixes, "LEAST_SAVED", 2)
        patch.setattr(decoding, "COLUMNS", 4)
        assert decoded(base, bank, prompts, new, fixed=True) == decoded(base, bank, prompts, new, fixed=False)


def test_recordings_are_used_and_a_slate_serves_the_next_batch_of_its_shape(
    base: BaseModel, recorded: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CPU", replace(room.CPU, rows=4))
    prompts = [[1 + n, 2 + n, 3] for n in range(12)]
    results = [[Continuation()] for _ in prompts]
    (group,) = groups_of(prompts)
    fill_group(base, None, prompts, group, results, 30, lambda ids: False, fixed=True)
    (recorder,) = recorded
    assert recorder.recorded == 1, "three batches of four rows: one recording"
    assert not recorder.waits
    plain = [[Continuation()] for _ in prompts]
    fill_group(base, None, prompts, group, plain, 30, lambda ids: False, fixed=False)
    assert results == plain


def test_greedy_ids_are_those_of_transformers_generate(base: BaseModel, recorded: list[Recorder]) -> None:
    rng = torch.Generator().manual_seed(4)
    prompts = [torch.randint(1, 97, (n,), generator=rng).tolist() for n in (3, 9, 17, 5)]
    results = [[Continuation()] for _ in prompts]
    (group,) = groups_of(prompts)
    fill_group(base, None, prompts, group, results, 20, lambda ids: False, fixed=True)
    for prompt, (mine,) in zip(prompts, results, strict=True):
        tokens = torch.tensor([prompt])
        theirs = base.model.generate(
            tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=20, do_sample=False, pad_token_id=0
        )[0, len(prompt) :].tolist()
        assert mine.ids == [token for token in theirs if token not in base.ends]


def test_what_an_overflow_leaves_in_the_cache_does_not_spoil_the_next_batch(base: BaseModel) -> None:
    """It is masked, but zero times NaN is NaN: the memory must be cleared."""
    prefill = Prefill(base, 1, None, [[1, 2, 3], [4, 5, 6, 7]])

    def tokens(slate: Slate) -> list[list[int]]:
        slate.begin(prefill, 100)
        found = []
        for _ in range(4):
            found.append(slate.reading().read()[0])
            slate.step()
        return found

    with torch.inference_mode():
        slate = Slate.of(base, 1, 2, 20, Recorder(base.device))
        expected = tokens(slate)
        for layer in slate._layers.values():
            for part in layer:
                part.fill_(float("nan"))
        assert tokens(slate) == expected
    assert min(min(row) for row in expected) >= 0


def test_an_adapter_that_is_not_finite_spoils_no_other(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CPU", replace(room.CPU, rows=8))
    good = bank_of(base, 2)
    assert good is not None
    bad = AdapterBank(base, Adapter(), [torch.full_like(good.row(0), float("nan")), good.row(1)])
    prompts = [[1 + n, 2, 3 + n, 9][: 2 + n % 3] for n in range(16)]
    alone = decoded(base, good, prompts, 6, fixed=False)
    found = decoded(base, bad, prompts, 6, fixed=True)
    assert {row[0][1] for row in found} == {"not finite"}
    assert [row[1] for row in found] == [row[1] for row in alone]


# -- what a decoded token costs ---------------------------------------------------------------------------------------

LAYERS = 24
LAUNCHES = {0: 988, 8: 1324}  # a token of Qwen2-0.5B's 24 layers, all rows together; may only fall


def deep() -> BaseModel:
    """A Qwen2 as deep as Qwen2-0.5B, in bf16, and narrow."""
    config = Qwen2Config(
        hidden_size=32, intermediate_size=64, num_hidden_layers=LAYERS, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=500, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation=attention_of(config))
    return assemble(model.eval().requires_grad_(False), Path(), torch.device("cpu"), frozenset())


@pytest.mark.parametrize("members", list(LAUNCHES))
def test_a_decoded_token_makes_nobody_wait_and_launches_no_more_than_it_did(members: int) -> None:
    base = deep()
    bank = bank_of(base, members)
    prompts = [[1, 2, 3], [4, 5, 6, 7]]
    prefill = Prefill(base, max(1, members), None, prompts)
    slate = Slate.of(base, max(1, members), len(prompts), 20, Recorder(base.device))
    with torch.inference_mode(), bank.attached() if bank else nullcontext():
        slate.begin(prefill, 100)
        with Waits() as watched, Tape() as tape:
            slate.step()
    assert watched.found == []
    assert len(tape.noted) <= LAUNCHES[members], f"{len(tape.noted)} launches"


def test_the_watch_sees_what_a_recording_cannot_hold() -> None:
    values = torch.tensor([1.0, 0.0])
    for wait in (
        lambda: float(values.sum()), lambda: values.nonzero(), lambda: values[values > 0], lambda: values.unique()
    ):  # fmt: skip
        with Waits() as watched:
            wait()
        assert watched.found
    with Waits() as watched:
        torch.where(values > 0, values, 0).max()
    assert not watched.found


def test_a_step_that_makes_the_host_wait_is_never_recorded() -> None:
    total = torch.zeros(1)
    recorder = Recorder(torch.device("cpu"), record=taped)

    def waiting() -> None:
        total.add_(1 if float(total) >= 0 else 0)

    for _ in range(3):
        recorder.run("step", waiting)
    assert (float(total), recorder.recorded) == (3.0, 0)
    assert recorder.waits


def test_a_gpu_that_cannot_record_a_step_runs_it_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDA's calls are faked: capture fails, as for a kernel that may not be captured."""

    class Graph:
        def capture_begin(self, **options: object) -> None:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")

        def capture_end(self) -> None: ...

    stream = type("Stream", (), {"wait_stream": lambda self, other: None})()
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "stream", lambda given: nullcontext())
    total = torch.zeros(1)
    recorder = Recorder(torch.device("cuda"))

    def add() -> None:
        total.add_(1)

    recorder.run("step", add)
    with pytest.warns(UserWarning, match="a step runs unrecorded, and slower: CUDA error: operation not permitted"):
        recorder.run("step", add)
    recorder.run("step", add)
    recorder.run("step", add)
    assert float(total) == 4.0


def test_a_scoring_pass_makes_nobody_wait(base: BaseModel) -> None:
    """Of branched items, of plain ones, and after a shared beginning; logits in several chunks."""
    shots = [7] * 60
    several = [Scored([1, 2, 3 + n], [[5, 6], [7], [8, 9, 10]]) for n in range(6)]
    behind = [Scored([*shots, n], [[5, 6], [7]]) for n in range(20)]
    expected = [score(base, bank_of(base, 2), items) for items in (several, several[:1], behind)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "CPU", replace(room.CPU, logits=97 * 2 * 3))
        for items, wanted in zip((several, several[:1], behind), expected, strict=True):
            with Waits() as watched:
                found = score(base, bank_of(base, 2), items)
            assert watched.found == []
            for values, known in zip(found, wanted, strict=True):
                assert values == pytest.approx(known, abs=1e-5)


# -- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "size"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (7, 8), (9, 12), (13, 16), (17, 24), (49, 64)]
)
def test_buckets_of_rows(count: int, size: int) -> None:
    assert bucket(count) == size
    assert [columns_for(n) for n in (1, 256, 257)] == [256, 256, 512]


def test_limits_follow_the_memory_of_the_device() -> None:
    base = true_shape()
    large, middle, small = (room.shares_of(base, gib << 30) for gib in (80, 24, 8))
    assert (large.rows, large.prefill_tokens, large.logits) == (4096, 65536, 1 << 28)
    assert large.cache_bytes == pytest.approx(39.5 * 2**30, rel=0.01)
    assert middle.cache_bytes == pytest.approx(11.5 * 2**30, rel=0.01), "16 GiB could not be had here"
    assert 800 < middle.rows < 4096
    assert 100 < small.rows < middle.rows
    assert small.pass_tokens < middle.pass_tokens <= large.pass_tokens
    held = small.cache_bytes + small.logits * 10 + small.prefill_tokens * (room.held_of_token(base) + 12288)
    assert held + 10**9 < 8 << 30
    assert room.cached_of_token(base) == 12288, "2 x 24 layers x 2 heads x 64 x 2 bytes"


def true_shape() -> BaseModel:
    """Qwen2-0.5B's shape, without values."""
    config = Qwen2Config(
        hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
        vocab_size=151_936, tie_word_embeddings=True,
    )  # fmt: skip
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation=attention_of(config))
    return assemble(model, Path(), torch.device("meta"), frozenset())


def test_a_batch_that_does_not_fit_is_halved_and_redone(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [[1 + n, 2 + n, 3] for n in range(10)]
    expected = decoded(base, None, prompts, 8, fixed=False)
    sizes: list[int] = []
    take = RowsUnderWay.take

    def taking(self: RowsUnderWay, *arguments: Any) -> None:
        sizes.append(self.width)
        take(self, *arguments)
        if self.width > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(RowsUnderWay, "take", taking)
    assert decoded(base, None, prompts, 8, fixed=True) == expected, "begun anew, from the first token"
    assert [sizes[0], sizes[1]] == [10, 5]
    monkeypatch.setattr(RowsUnderWay, "width", property(lambda self: 99))
    with pytest.raises(OutOfMemory, match=r"1 x 11 tokens do not fit into the memory of cpu for an evaluation; use a"):
        decoded(base, None, prompts, 8, fixed=True)


def test_a_scoring_pass_that_does_not_fit_is_halved(base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Scored([1 + n, 2 + n, 3], [[5], [6, 7]]) for n in range(10)]
    expected = score(base, None, items)
    body, largest = BaseModel.body, 2

    def small(self: BaseModel, tokens: torch.Tensor, *more: Any) -> torch.Tensor:
        if len(tokens) > largest:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return body(self, tokens, *more)

    monkeypatch.setitem(scoring.ROW_TOKENS, "cpu", 8)
    monkeypatch.setattr(BaseModel, "body", small)
    for values, known in zip(score(base, None, items), expected, strict=True):
        assert values == pytest.approx(known, abs=1e-5)
    largest = 0
    with pytest.raises(OutOfMemory, match=r"1 x 8 tokens do not fit into the memory of cpu for an evaluation"):
        score(base, None, items)
