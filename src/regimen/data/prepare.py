"""Source -> blocks: read, clean, keep test items out, render, tokenise, pack, store.

Owns the pipeline and the cache of finished block folders, named by content and shared by all processes. Memory is
bounded whatever the source's size. Does not know experiments.
"""

from __future__ import annotations

import filecmp
import gc
import hashlib
import os
import shutil
import uuid
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from regimen.data.ahead import ahead, in_threads
from regimen.data.blocks import FACTS, Block, BlockWriter, Example, TextPacker, fit, pack_examples
from regimen.data.chat_examples import chat_examples
from regimen.data.cleaning import Drops
from regimen.data.forms import Content, Rendered, content_of, group_of, render_text
from regimen.data.keys import loosened
from regimen.data.overlap import Hit, TestTexts
from regimen.data.rows import UsableRow, in_batches, usable_rows
from regimen.data.sources import Where
from regimen.data.spool import Spool
from regimen.data.subset import first_rows
from regimen.data.tokenizer import Pair, TextTokenizer
from regimen.errors import DataError
from regimen.files import sync_files, sync_folder
from regimen.study.schema import Batch, LegKind
from regimen.study.sources import Side, Source

T = TypeVar("T", str, Rendered)

PACKED_TOGETHER = 1 << 16  # examples; a larger source is packed in windows of so many, so that memory is bounded
NAMED_ITEMS = 20  # test items that are named for one dropped row


@dataclass
class Counts:
    """The counts of a source's rows and tokens, kept and dropped; the fields are those of `results.PreparedFacts`."""

    documents: int = 0
    bytes: int = 0
    cut_examples: int = 0
    cut_prompt_tokens: int = 0
    cut_answer_tokens: int = 0
    special_as_text: int = 0
    read_apart: int = 0


@dataclass(frozen=True)
class Preparation:
    """Everything that decides the blocks of a source in one form; `first`: of so many rows (None: of all)."""

    name: str
    source: Source
    form: LegKind
    batch: Batch
    seed: int
    tests: TestTexts
    first: int | None = None
    side: Side = "train"


def prepare(
    work: Preparation, tokenizer: TextTokenizer, where: Where, cache: Path, drops: Drops
) -> tuple[Path, dict[str, Any]]:
    """Makes the blocks of a source and moves them into the cache under the digest of their content.

    Returns the folder and its facts: rows, drops, documents, tokens, digest. Raises SourceMissing and DataError.
    """
    cache.mkdir(parents=True, exist_ok=True)
    scratch = cache / f".{work.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    scratch.mkdir()
    counts = Counts()
    try:
        blocks = scratch / "blocks"
        blocks.mkdir()
        writer = BlockWriter(blocks, work.batch.block, max(tokenizer.size, tokenizer.end + 1))
        content = hashlib.sha256()
        with _old_left_alone():
            for block in _blocks(work, tokenizer, where, scratch, drops, counts):
                content.update(block.tokens[: block.length].tobytes())
                content.update(np.packbits(block.loss).tobytes())
                writer.write(block)
        facts = writer.close()
        if not facts["blocks"]:
            raise DataError(_nothing_left(work, drops))
        digest = content.hexdigest()[:16]
        side = "" if work.side == "train" else f"{work.side}-"
        home = cache / f"{work.name}-{work.form}-{side}{digest}"
        _move(blocks, home)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return home, {**facts, **counts.__dict__, "rows": drops.rows, "drops": drops.counts, "digest": digest}


def _nothing_left(work: Preparation, drops: Drops) -> str:
    """Why no block could be filled: the reason for which most rows went, and what can be done about it."""
    rows = "" if work.side == "train" else f"{work.side} rows of "
    sentence = f"{rows}source {work.name!r}: no block of {work.batch.block} tokens could be filled"
    counts = drops.counts
    if not counts:
        return sentence
    reason = max(counts, key=lambda name: counts[name])
    sentence += f": {counts[reason]:,} of its {drops.rows:,} rows are dropped ({reason})"
    if "test item of" not in reason:
        return sentence
    return f"{sentence}; `leaks: exact` drops only rows with the test text itself, `leaks: off` none"


@contextmanager
def _old_left_alone() -> Iterator[None]:
    """The garbage collector does not go through what was there before, time and again: a tenth of the work."""
    ours = not gc.get_freeze_count()  # what somebody else has frozen stays as it is
    if ours:
        gc.freeze()
    try:
        yield
    finally:
        if ours:
            gc.unfreeze()


def trainable_rows(
    name: str, source: Source, form: LegKind, where: Where, tests: TestTexts, drops: Drops, side: Side = "train"
) -> Iterator[list[UsableRow]]:
    """Batches of the rows that may be trained on (or validated on): those of that side that hold no test item.

    A row is dropped if what it puts into the text that would be trained on holds a test item's text, or if it is of a
    group of its own source that is tested on. The source's `leaks` says how test items are looked for.
    """
    for batch in in_batches(usable_rows(name, source, side, where, drops)):
        if not len(tests):
            yield batch
            continue
        kept = []
        for row, hits in zip(batch, hits_of(name, source, form, batch, tests), strict=True):
            if hits:
                _drop(drops, row, hits)
            else:
                kept.append(row)
        yield kept


def hits_of(
    name: str, source: Source, form: LegKind, rows: Sequence[UsableRow], tests: TestTexts
) -> Sequence[list[Hit]]:
    """For each row of a source, in the form in which it is read, the test items that it holds or is of a group with."""
    found: list[list[Hit]] = [[] for _ in rows]
    if source.leaks != "off":
        contents = [_content(source, form, row) for row in rows]
        asked = [_loose(row, content.asked) for row, content in zip(rows, contents, strict=True)]
        texts = [
            _loose(row, content.whole) if content.answer else own
            for row, content, own in zip(rows, contents, asked, strict=True)
        ]
        answers = any(content.answer for content in contents)
        found = tests.find(texts, asked if answers else (), name, near=source.leaks == "near")
    if source.form.group is not None and tests.has_groups(name):
        groups = tests.find_groups(name, [group_of(source.form, row.values) for row in rows])
        found = [hits + more for hits, more in zip(found, groups, strict=True)]
    return found


def _content(source: Source, form: LegKind, row: UsableRow) -> Content:
    text = _text(source, row) if form == "pretrain" and source.form.text is not None else None
    return content_of(source.form, row.values, text)


def _loose(row: UsableRow, text: str) -> str:
    """A text loosened; what the row was cleaned by is normalised already."""
    return loosened(text, row.normal if text is row.text else None)


def _text(source: Source, row: UsableRow) -> str:
    """The text that is read on, where it is not what the row was cleaned by."""
    own = source.form.text is not None and source.form.is_asked
    return render_text(source.form, row.values) if own else row.text


def _drop(drops: Drops, row: UsableRow, hits: list[Hit]) -> None:
    first = min(hits, key=lambda hit: tuple(_WORDS).index(hit.how))
    items = [hit.item for hit in hits[:NAMED_ITEMS]]
    reason = f"{_WORDS[first.how]} {first.task}"
    drops.drop(row.part, row.number, reason, row.text, task=first.task, how=first.how, items=items)


_WORDS = {
    "same": "test item of",
    "inside": "holds a test item of",
    "near": "near twin of a test item of",
    "group": "of a group that is tested on in",
}


def _move(scratch: Path, home: Path) -> None:
    """Flushes to disk and renames into place. Where the same content is there already, it is left if it is whole."""
    sync_files(scratch)
    if (home / FACTS).is_file():
        names = [path.name for path in scratch.iterdir()]
        if not any(filecmp.cmpfiles(scratch, home, names, shallow=False)[1:]):
            return
        home.rename(home.with_name(f".{home.name}-{uuid.uuid4().hex[:8]}.damaged"))
    try:
        os.rename(scratch, home)
    except OSError:
        if not (home / FACTS).is_file():  # else another process was first, with the same content
            raise
    sync_folder(home.parent)


def _blocks(
    work: Preparation, tokenizer: TextTokenizer, where: Where, scratch: Path, drops: Drops, counts: Counts
) -> Iterator[Block]:
    rows = trainable_rows(work.name, work.source, work.form, where, work.tests, drops, work.side)
    if work.first is not None:
        rows = first_rows(work.name, work.source, rows, work.first, work.seed)
    if work.form == "pretrain":
        packer = TextPacker(work.batch.block, tokenizer.end)
        texts = _counted(ahead([_text(work.source, row) for row in batch] for batch in rows), counts, tokenizer)
        for ids in chain.from_iterable(in_threads(partial(_ids, tokenizer), texts)):
            ids.append(tokenizer.end)
            yield from packer.add(ids)
        yield from packer.finish()
        return
    with Spool(scratch / "examples.bin") as spool:
        if work.source.form.messages is not None:
            examples = _counted_one_by_one(chat_examples(work.source.form, tokenizer, rows, drops), counts)
        else:
            rendered = _counted(
                ahead([row.rendered for row in batch if row.rendered] for batch in rows), counts, tokenizer
            )
            examples = _noting_apart(in_threads(partial(_examples, tokenizer), rendered), counts)
        for example in examples:
            kept, prompt, answer = fit(example, work.batch.block)
            counts.cut_examples += bool(prompt or answer)
            counts.cut_prompt_tokens += prompt
            counts.cut_answer_tokens += answer
            spool.add(kept)
        order = np.random.Generator(np.random.Philox(key=work.seed)).permutation(len(spool))
        for first in range(0, len(order), PACKED_TOGETHER):
            shuffled = spool.chosen(order[first : first + PACKED_TOGETHER])
            yield from pack_examples(
                shuffled,
                work.batch.block,
                tokenizer.end,
                packing=work.batch.packing,
                lengths=shuffled.lengths(),
            )


def _counted(batches: Iterable[list[T]], counts: Counts, tokenizer: TextTokenizer) -> Iterator[list[T]]:
    for batch in batches:
        counts.documents += len(batch)
        texts = [one.prompt + one.answer if isinstance(one, Rendered) else one for one in batch]
        counts.special_as_text += sum(map(tokenizer.holds_special, texts))
        counts.bytes += sum(len(text.encode("utf-8", errors="replace")) for text in texts)
        yield batch


def _counted_one_by_one(examples: Iterable[tuple[UsableRow, Example]], counts: Counts) -> Iterator[Example]:
    for row, example in examples:
        counts.documents += 1
        counts.bytes += len(row.text.encode("utf-8", errors="replace"))
        yield example


def _ids(tokenizer: TextTokenizer, texts: list[str]) -> list[array[int]]:
    """Arrays, not lists: the garbage collector looks at every number of a list."""
    return [array("i", ids) for ids in tokenizer.encode_whole(texts)]


def _noting_apart(batches: Iterable[tuple[list[Example], int]], counts: Counts) -> Iterator[Example]:
    for examples, apart in batches:
        counts.read_apart += apart
        yield from examples


def _examples(tokenizer: TextTokenizer, rendered: list[Rendered]) -> tuple[list[Example], int]:
    """Prompt and answer of each, cut from the tokens of both together, and how many pairs were read apart instead.

    An answer ends with the end-of-text token. Where one token would hold characters of both, the two are read apart: a
    model that generates is given the prompt's own tokens, so it must have learnt to go on from these.
    """
    pairs = tokenizer.encode_pairs([one.prompt for one in rendered], [one.answer for one in rendered])
    examples = []
    for one, pair in zip(rendered, pairs, strict=True):
        if pair.merges:
            pair = Pair(tokenizer.encode_whole([one.prompt])[0], tokenizer.encode(one.answer))
        examples.append(Example(array("i", pair.prompt), array("i", [*pair.answer, tokenizer.end])))
    return examples, sum(pair.merges for pair in pairs)
