"""Packing: nothing lost, nothing mixed, what is too long is cut by the stated rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.data.blocks import Block, BlockStore, BlockWriter, Example, TextPacker, first_fit, fit, pack_examples
from regimen.data.spool import Spool
from regimen.errors import DataError

BLOCK = 32
TURNS = st.lists(st.booleans(), min_size=1, max_size=9)
LENGTHS = st.lists(st.integers(1, BLOCK), max_size=60)


@given(LENGTHS)
@settings(max_examples=80, deadline=None)
def test_first_fit_holds_every_item_once_and_no_two_blocks_would_fit_in_one(lengths: list[int]) -> None:
    blocks = first_fit(lengths, BLOCK)
    assert sorted(item for block in blocks for item in block) == list(range(len(lengths)))
    filled = [sum(lengths[item] for item in block) for block in blocks]
    assert all(fill <= BLOCK for fill in filled)
    # an item that fitted into an open block never opened a new one
    assert sum(fill <= BLOCK // 2 for fill in filled) <= 1


EXAMPLES = st.lists(
    st.builds(
        Example,
        st.lists(st.integers(1, 999), max_size=40),
        st.lists(st.integers(1, 999), min_size=1, max_size=40),
    ),
    min_size=1,
    max_size=25,
)


def segments(block: Block) -> list[tuple[list[int], list[bool]]]:
    """The real segments of a block: tokens and loss marks."""
    starts = [i for i in range(block.length) if block.positions[i] == 0]
    ends = [*starts[1:], block.length]
    return [(block.tokens[a:b].tolist(), block.loss[a:b].tolist()) for a, b in zip(starts, ends, strict=True)]


@given(EXAMPLES, st.booleans())
@settings(max_examples=80, deadline=None)
def test_packed_examples_come_out_whole_with_loss_on_their_answers(examples: list[Example], packing: bool) -> None:
    cut = [fit(example, BLOCK)[0] for example in examples]
    blocks = list(pack_examples(cut, BLOCK, 0, packing=packing))
    found = [segment for block in blocks for segment in segments(block)]
    wanted = []
    for example in cut:
        tokens = [*example.prompt, *example.answer]
        loss = [i >= max(1, len(example.prompt)) for i in range(len(tokens))]
        wanted.append((tokens, loss))
    assert sorted(found) == sorted(wanted)
    for block in blocks:
        assert not block.loss[block.length :].any()
        assert block.positions.max() < BLOCK
        if not packing:
            assert len(segments(block)) == 1


@given(EXAMPLES)
@settings(max_examples=80, deadline=None)
def test_what_is_longer_than_a_block_is_cut_by_the_rule_and_counted(examples: list[Example]) -> None:
    for example in examples:
        kept, prompt, answer = fit(example, BLOCK)
        assert len(kept) == min(len(example), BLOCK)
        assert len(example) - len(kept) == prompt + answer
        assert list(kept.prompt) == list(example.prompt[len(example.prompt) - len(kept.prompt) :])
        assert list(kept.answer) == list(example.answer[: len(kept.answer)])
        if answer:
            assert len(kept.prompt) == min(len(example.prompt), BLOCK // 4)


def test_the_rule_by_hand() -> None:
    long_prompt = Example(list(range(100, 160)), [1, 2, 3])
    kept, prompt, answer = fit(long_prompt, 32)
    assert (list(kept.prompt), list(kept.answer), prompt, answer) == (list(range(131, 160)), [1, 2, 3], 31, 0)
    long_answer = Example(list(range(20)), list(range(100, 160)))
    kept, prompt, answer = fit(long_answer, 32)
    assert (list(kept.prompt), list(kept.answer), prompt, answer) == (
        list(range(12, 20)), list(range(100, 124)), 12, 36
    )  # fmt: skip


@given(st.lists(st.lists(st.integers(1, 999), min_size=1, max_size=90), min_size=1, max_size=20))
@settings(max_examples=80, deadline=None)
def test_running_text_fills_blocks_and_loses_nothing(documents: list[list[int]]) -> None:
    packer = TextPacker(BLOCK, pad=0)
    blocks = [block for document in documents for block in packer.add(document)]
    assert all(block.length == BLOCK for block in blocks)
    blocks += packer.finish()
    total = sum(map(len, documents))
    stream = [token for block in blocks for token in block.tokens[: block.length].tolist()]
    everything = [token for document in documents for token in document]
    assert stream == everything[: len(stream)]
    assert total - len(stream) <= 1, "a lone last token, which nothing could predict, may stay behind"
    starts = sum(int((block.positions[: block.length] == 0).sum()) for block in blocks)
    loss = sum(int(block.loss.sum()) for block in blocks)
    assert loss == len(stream) - starts


def test_a_store_gives_back_what_was_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    blocks = []
    writer = BlockWriter(tmp_path, 40, 70_000)
    for _ in range(2100):
        length = int(rng.integers(1, 41))
        positions = np.concatenate([np.arange(length), np.arange(40 - length)]).astype(np.int32)
        loss = (rng.random(40) < 0.5) & (positions > 0)
        loss[length:] = False
        blocks.append(Block(rng.integers(0, 70_000, 40, dtype=np.int32), positions, loss, length))
        writer.write(blocks[-1])
    facts = writer.close()
    assert facts["loss_tokens"] == sum(int(b.loss.sum()) for b in blocks)
    assert facts["tokens"] == sum(b.length for b in blocks)
    store = BlockStore(tmp_path)
    assert len(store) == 2100
    for index in (0, 1023, 1024, 2099):
        mine, theirs = store.block(index), blocks[index]
        assert mine.length == theirs.length
        for name in ("tokens", "positions", "loss"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))


@pytest.mark.parametrize("damaged", ["tokens.bin", "loss.bin", "blocks.json"])
def test_a_damaged_store_is_named(tmp_path: Path, damaged: str) -> None:
    writer = BlockWriter(tmp_path, 16, 100)
    for block in pack_examples([Example([1], [2])] * 5, 16, 0, packing=False):
        writer.write(block)
    writer.close()
    file = tmp_path / damaged
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match="delete that folder"):
        BlockStore(tmp_path)


def loss_of(example: Example) -> list[bool]:
    """Which tokens of the answer carry loss, written out."""
    return [True] * len(example.answer) if example.loss is None else [bool(loss) for loss in example.loss]


@given(st.lists(st.tuples(st.lists(st.integers(0, 500), min_size=1, max_size=9), TURNS), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_masks_of_turns_survive_spool_cut_and_packing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[list[int], list[bool]]]
) -> None:
    examples = [Example(prompt, list(range(len(loss))), loss) for prompt, loss in rows]
    with Spool(tmp_path_factory.mktemp("spool") / "examples.bin") as spool:
        for example in examples:
            spool.add(example)
        kept = spool.chosen(np.arange(len(examples)))
        for example, read in zip(examples, kept, strict=True):
            assert list(read.answer) == list(example.answer)
            assert loss_of(read) == loss_of(example)
        cut = [fit(example, 8)[0] for example in kept]
    blocks = list(pack_examples(cut, 8, 0, packing=True))
    carried = sum(sum(loss_of(example)) for example in cut)
    assert sum(int(block.loss.sum()) for block in blocks) == carried
