"""Token blocks: packing, and the files they lie in.

Owns first-fit packing of examples into fixed blocks, the cutting of running text into full blocks, the stated rule
for what is longer than a block, and the memory-mapped store. Does not know rows, prompts or tokenizers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regimen.errors import DataError

FACTS = "blocks.json"  # written last: a folder of blocks without it is not whole
CONTEXT_SHARE = 4  # an example longer than a block keeps at least this fraction (1/4) of the block for its context


@dataclass(frozen=True)
class Example:
    """A tokenised fine-tuning example: `prompt` carries no loss, `answer` (with its end-of-text token) does.

    `loss`, as long as the answer, says which of its tokens do where not all (a conversation of several turns).
    """

    prompt: Sequence[int]
    answer: Sequence[int]
    loss: Sequence[bool] | None = None

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True)
class Block:
    """One block: arrays of one length; real tokens first, `length` of them."""

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    loss: NDArray[np.bool_]
    length: int


def fit(example: Example, block: int) -> tuple[Example, int, int]:
    """The example cut to `block` tokens, and how many prompt and answer tokens were cut.

    The prompt is cut from its left (its oldest context); if the answer alone leaves less than a quarter of the block,
    the prompt keeps a quarter and the answer is cut from its right.
    """
    if len(example) <= block:
        return example, 0, 0
    room = max(block - len(example.answer), min(len(example.prompt), block // CONTEXT_SHARE))
    prompt = example.prompt[len(example.prompt) - room :] if room else ()
    answer = example.answer[: block - room]
    loss = None if example.loss is None else example.loss[: block - room]
    return (
        Example(prompt, answer, loss),
        len(example.prompt) - len(prompt),
        len(example.answer) - len(answer),
    )


def first_fit(lengths: Iterable[int], block: int) -> list[list[int]]:
    """Packs items of `lengths` (each at most `block`) into blocks; returns the item numbers of each block, in order.

    Each item goes into the fullest open block that still holds it (best fit), else opens a new one. Open blocks are
    found in O(1) from a bit mask of free lengths.
    """
    blocks: list[list[int]] = []
    open_by_room: list[list[int]] = [[] for _ in range(block + 1)]
    mask = 0
    for item, length in enumerate(lengths):
        fitting = mask >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            chosen = open_by_room[room].pop()
            if not open_by_room[room]:
                mask &= ~(1 << room)
        else:
            room, chosen = block, len(blocks)
            blocks.append([])
        blocks[chosen].append(item)
        left = room - length
        if left > 0:
            open_by_room[left].append(chosen)
            mask |= 1 << left
    return blocks


def pack_examples(
    examples: Sequence[Example], block: int, pad: int, *, packing: bool, lengths: Sequence[int] | None = None
) -> Iterator[Block]:
    """Blocks of whole examples, each its own segment; one example a block without `packing`.

    `lengths` are the examples' own, given where to ask each would be to read it.
    """
    known = [len(example) for example in examples] if lengths is None else lengths
    groups = first_fit(known, block) if packing else [[i] for i in range(len(known))]
    count = np.arange(block, dtype=np.int32)
    for group in groups:
        tokens = np.full(block, pad, dtype=np.int32)
        positions = np.zeros(block, dtype=np.int32)
        loss = np.zeros(block, dtype=np.bool_)
        end = 0
        for item in group:
            example = examples[item]
            start, middle, end = end, end + len(example.prompt), end + len(example)
            tokens[start:middle] = example.prompt
            tokens[middle:end] = example.answer
            positions[start:end] = count[: end - start]
            loss[middle:end] = True if example.loss is None else example.loss
            loss[start] = False  # nothing predicts the first token of a segment
        positions[end:] = count[: block - end]
        yield Block(tokens, positions, loss, end)


class TextPacker:
    """Cuts documents into full blocks; a document that crosses the end of a block goes on in the next as a new segment.

    Nothing is discarded: `finish` gives the last, partly filled block, unless of one token. Every token carries loss
    but the first of a segment, which nothing predicts.
    """

    def __init__(self, block: int, pad: int):
        self._block = block
        self._pad = pad
        self._tokens = np.empty(block, dtype=np.int32)
        self._positions = np.empty(block, dtype=np.int32)
        self._filled = 0

    def add(self, document: Sequence[int]) -> Iterator[Block]:
        """The blocks that `document` fills."""
        tokens = np.asarray(document, dtype=np.int32)
        while len(tokens):
            room = self._block - self._filled
            piece, tokens = tokens[:room], tokens[room:]
            end = self._filled + len(piece)
            self._tokens[self._filled : end] = piece
            self._positions[self._filled : end] = np.arange(len(piece))
            self._filled = end
            if end == self._block:
                yield self._emit()

    def finish(self) -> Iterator[Block]:
        """The last block, padded, if anything is left."""
        if self._filled > 1:
            yield self._emit()
        self._filled = 0

    def _emit(self) -> Block:
        filled, self._filled = self._filled, 0
        tokens = self._tokens.copy()
        positions = self._positions.copy()
        tokens[filled:] = self._pad
        positions[filled:] = np.arange(self._block - filled)
        loss = positions > 0
        loss[filled:] = False
        return Block(tokens, positions, loss, filled)


class BlockWriter:
    """Writes blocks to a folder, a chunk at a time; the folder is complete only after `close`."""

    CHUNK = 1024

    def __init__(self, folder: Path, block: int, vocabulary: int):
        self._folder = folder
        self._block = block
        self._dtype = np.dtype(np.uint16 if vocabulary <= 1 << 16 else np.int32)
        self._files = {name: (folder / f"{name}.bin").open("wb") for name in ("tokens", "positions", "loss")}
        self._lengths: list[int] = []
        self._loss_tokens = 0
        self._pending: list[Block] = []

    def write(self, block: Block) -> None:
        """Appends one block."""
        self._pending.append(block)
        self._lengths.append(block.length)
        if len(self._pending) >= self.CHUNK:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        loss = np.stack([block.loss for block in self._pending])
        self._loss_tokens += int(loss.sum())
        np.stack([block.tokens for block in self._pending]).astype(self._dtype).tofile(self._files["tokens"])
        positions = np.stack([block.positions for block in self._pending])
        positions.astype(_position_type(self._block)).tofile(self._files["positions"])
        np.packbits(loss, axis=1).tofile(self._files["loss"])
        self._pending.clear()

    def close(self) -> dict[str, Any]:
        """Finishes the files and returns {blocks, tokens, loss_tokens}."""
        self._flush()
        for file in self._files.values():
            file.close()
        np.asarray(self._lengths, dtype=np.int32).tofile(self._folder / "lengths.bin")
        facts = {
            "blocks": len(self._lengths),
            "block": self._block,
            "dtype": self._dtype.name,
            "tokens": int(sum(self._lengths)),
            "loss_tokens": self._loss_tokens,
        }
        (self._folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        return facts


class BlockStore:
    """A folder of blocks, memory-mapped: opening it reads a few bytes, whatever its size."""

    def __init__(self, folder: Path):
        try:
            self.facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            count, self._block = self.facts["blocks"], self.facts["block"]
            shape = (count, self._block)
            self._tokens = np.memmap(folder / "tokens.bin", self.facts["dtype"], "r", shape=shape)
            self._positions = np.memmap(folder / "positions.bin", _position_type(self._block), "r", shape=shape)
            self._loss = np.memmap(folder / "loss.bin", np.uint8, "r", shape=(count, (self._block + 7) // 8))
            self._lengths = np.fromfile(folder / "lengths.bin", dtype=np.int32)
        except (OSError, ValueError, KeyError) as fault:
            raise DataError(f"the token blocks in {folder} cannot be read ({fault}); delete that folder") from None

    def __len__(self) -> int:
        return len(self._lengths)

    def block(self, index: int) -> Block:
        """Block number `index`, as fresh arrays."""
        return Block(
            tokens=self._tokens[index].astype(np.int32),
            positions=self._positions[index].astype(np.int32),
            loss=np.unpackbits(self._loss[index], count=self._block).astype(np.bool_),
            length=int(self._lengths[index]),
        )


def _position_type(block: int) -> type[np.uint16] | type[np.int32]:
    return np.uint16 if block <= 1 << 16 else np.int32
