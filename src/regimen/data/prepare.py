"""Source -> blocks: read, clean, render, tokenise, pack, store.

Owns the pipeline and the cache of finished block folders, named by content and shared by all processes. Does not
know experiments.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regimen.data.blocks import Block, BlockWriter, Example, TextPacker, fit, pack_examples
from regimen.data.cleaning import Ledger, TestTexts
from regimen.data.forms import group_of, render, render_text
from regimen.data.rows import UsableRow, usable_rows
from regimen.data.sources import Where
from regimen.data.tokenizer import TextTokenizer
from regimen.errors import DataError
from regimen.study.schema import Batch, LegKind, Source

BATCH = 1000  # rows tokenised together


@dataclass
class Counts:
    """What became of the rows and tokens of a source."""

    documents: int = 0
    bytes: int = 0
    cut_examples: int = 0
    cut_prompt_tokens: int = 0
    cut_answer_tokens: int = 0


@dataclass(frozen=True)
class Preparation:
    """Everything that decides the blocks of a source in one form."""

    name: str
    source: Source
    form: LegKind
    batch: Batch
    seed: int
    tests: TestTexts


def prepare(
    work: Preparation, tokenizer: TextTokenizer, where: Where, cache: Path, ledger: Ledger
) -> tuple[Path, dict[str, Any]]:
    """Makes the blocks of a source and moves them into the cache under the digest of their content.

    Returns the folder and its facts: rows, drops, documents, tokens, digest. Raises SourceMissing and DataError.
    """
    cache.mkdir(parents=True, exist_ok=True)
    scratch = cache / f".{work.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    scratch.mkdir()
    counts = Counts()
    try:
        writer = BlockWriter(scratch, work.batch.block, max(tokenizer.size, tokenizer.end + 1))
        content = hashlib.sha256()
        for block in _blocks(work, tokenizer, where, ledger, counts):
            content.update(block.tokens[: block.length].tobytes())
            content.update(np.packbits(block.loss).tobytes())
            writer.write(block)
        facts = writer.close()
        if not facts["blocks"]:
            raise DataError(f"source {work.name!r}: no block of {work.batch.block} tokens could be filled")
        digest = content.hexdigest()[:16]
        home = cache / f"{work.name}-{work.form}-{digest}"
        _move(scratch, home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return home, {**facts, **counts.__dict__, "rows": ledger.rows, "drops": ledger.counts, "digest": digest}


def _move(scratch: Path, home: Path) -> None:
    """Renames into place; another process may have been first, with the same content."""
    try:
        os.rename(scratch, home)
    except OSError:
        if not (home / "blocks.json").is_file():
            raise


def _blocks(
    work: Preparation, tokenizer: TextTokenizer, where: Where, ledger: Ledger, counts: Counts
) -> Iterator[Block]:
    rows = _trainable(work, where, ledger)
    if work.form == "pretrain":
        packer = TextPacker(work.batch.block, tokenizer.end)
        for ids in _documents(work, tokenizer, rows, counts):
            yield from packer.add(ids)
        yield from packer.finish()
        return
    examples = []
    for example in _examples(work, tokenizer, rows, counts):
        kept, prompt, answer = fit(example, work.batch.block)
        counts.cut_examples += bool(prompt or answer)
        counts.cut_prompt_tokens += prompt
        counts.cut_answer_tokens += answer
        examples.append(kept)
    order = np.random.Generator(np.random.Philox(key=work.seed)).permutation(len(examples))
    shuffled = [examples[i] for i in order]
    yield from pack_examples(shuffled, work.batch.block, tokenizer.end, packing=work.batch.packing)


def _trainable(work: Preparation, where: Where, ledger: Ledger) -> Iterator[UsableRow]:
    for row in usable_rows(work.name, work.source, "train", where, ledger):
        task = work.tests.find(group_of(work.source.form, row.values)) or work.tests.find(row.text)
        if task is not None:
            ledger.drop(row.part, row.number, f"test item of {task}", row.text)
        else:
            yield row


def _documents(
    work: Preparation, tokenizer: TextTokenizer, rows: Iterator[UsableRow], counts: Counts
) -> Iterator[list[int]]:
    for batch in _batches(rows):
        texts = [render_text(work.source.form, row.values) for row in batch]
        counts.documents += len(texts)
        counts.bytes += sum(len(text.encode("utf-8", errors="replace")) for text in texts)
        for ids in tokenizer.encode_many(texts):
            yield [*ids, tokenizer.end]


def _examples(
    work: Preparation, tokenizer: TextTokenizer, rows: Iterator[UsableRow], counts: Counts
) -> Iterator[Example]:
    for batch in _batches(rows):
        rendered = [render(work.source.form, row.values) for row in batch]
        counts.documents += len(rendered)
        counts.bytes += sum(len((r.prompt + r.answer).encode("utf-8", errors="replace")) for r in rendered)
        prompts = tokenizer.encode_many([r.prompt for r in rendered])
        answers = tokenizer.encode_many([r.answer for r in rendered])
        for prompt, answer in zip(prompts, answers, strict=True):
            yield Example(prompt, [*answer, tokenizer.end])


def _batches(rows: Iterator[UsableRow]) -> Iterator[list[UsableRow]]:
    batch: list[UsableRow] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
