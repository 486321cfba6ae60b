"""Rows on their right side: no row twice, no test row trained on, groups never torn, every dropped row noted."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.data.blocks import BlockStore
from regimen.data.cleaning import Drops, normalised, side_of
from regimen.data.forms import Rendered
from regimen.data.items import build_items, read_items, write_items
from regimen.data.overlap import TestText, TestTexts
from regimen.data.prepare import Preparation, _examples, prepare
from regimen.data.rows import Side, usable_rows
from regimen.data.sources import Where
from regimen.data.tokenizer import TextTokenizer
from regimen.engine.locate import locate_base
from regimen.errors import DataError, ModelError
from regimen.study import load_study
from regimen.study.schema import Base, Batch
from regimen.study.sources import Source
from regimen.study.tasks import Task
from tests.support.row_files import write
from tests.support.studies import with_fields
from tests.support.tokenizers import save_byte_tokenizer

QA = {
    "files": ["qa.jsonl"],
    "form": {"prompt": "{{ context }} {{ question }}", "answer": "{{ answer }}", "group": "{{ context }}"},
    "held_out": {"share": 0.3},
}


def qa_rows(groups: int, each: int) -> list[dict[str, Any]]:
    return [
        {"context": f"context {g}", "question": f"question {q}?", "answer": f"answer {g}-{q}"}
        for g in range(groups)
        for q in range(each)
    ]


def sides(source: Source, where: Where) -> tuple[list[str], list[str], Drops]:
    drops = Drops()
    train = [row.text for row in usable_rows("qa", source, "train", where, drops)]
    test = [row.text for row in usable_rows("qa", source, "test", where, Drops())]
    return train, test, drops


def test_groups_stay_on_one_side_and_never_move(tmp_path: Path) -> None:
    write(tmp_path / "qa.jsonl", qa_rows(60, 3))
    source = Source.model_validate(QA)
    train, test, drops = sides(source, Where(here=tmp_path))
    assert sorted(train + test) == sorted(
        f"context {g} question {q}? answer {g}-{q}" for g in range(60) for q in range(3)
    )
    groups = [{text.split(" question")[0] for text in side} for side in (train, test)]
    assert not groups[0] & groups[1]
    assert 0.15 < len(test) / 180 < 0.45
    assert drops.counts == {"held out": len(test)}
    write(tmp_path / "qa.jsonl", qa_rows(90, 3)[::-1])
    later_train, later_test, _ = sides(source, Where(here=tmp_path))
    assert set(train) <= set(later_train)
    assert set(test) <= set(later_test)


def test_copies_are_dropped_before_the_split(tmp_path: Path) -> None:
    rows = qa_rows(30, 1)
    write(tmp_path / "qa.jsonl", rows + [{**row, "context": row["context"].upper() + " "} for row in rows] + rows)
    train, test, drops = sides(Source.model_validate(QA), Where(here=tmp_path))
    assert len(train) + len(test) == 30
    assert drops.counts["duplicate"] == 60
    assert drops.rows == 90


@given(st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_normalising_is_idempotent_and_knows_no_case_and_no_composition(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert normalised(f"  {unicodedata.normalize('NFD', text)}\t ") == once
    assert normalised(text.casefold()) == once


UNUSUAL = st.lists(
    st.sampled_from(["Straße", "K", "İ", "ΑΣ", "\x1c", "\xa0", "e\u0301", "ﬁ", "ͅ", "½"]) | st.text(max_size=2)
)


@given(st.text(max_size=20) | UNUSUAL.map("".join))
@settings(max_examples=400, deadline=None)
def test_normalising_is_what_it_says_read_plainly(text: str) -> None:
    """Compatibility form, case, blanks, by Python's own strings, until nothing changes."""
    plain, before = text, ""
    while plain != before:
        before, plain = plain, unicodedata.normalize("NFKC", plain).casefold()
    assert normalised(text) == " ".join(plain.split())


def test_addresses_formulas_and_code_are_no_duplicates() -> None:
    texts = [
        "https://a.org/1",
        "https://a.org/2",
        "$a$ of $b$",
        "$c$ of $b$",
        "echo $HOME",
        "echo $PATH",
        "not so",
        "so",
    ]
    assert len({normalised(text) for text in texts}) == len(texts)
    assert normalised("Cafe\u0301  AU\nLait ") == "café au lait"


def test_the_held_out_share_is_a_share() -> None:
    count = sum(side_of(f"text {i}", 0.1, None) == "test" for i in range(20_000))
    assert count == pytest.approx(2000, abs=150)


def test_running_rows_join_into_documents(tmp_path: Path) -> None:
    lines = ["", " = One = ", "", " first . ", " = = Part = = ", " more . ", " = Two = ", " second . "]
    write(tmp_path / "wiki.jsonl", [{"text": line} for line in lines])
    wiki = Source.model_validate(
        {"files": ["wiki.jsonl"], "form": {"text": "{{ text | trim }}"}, "documents": {"starts": "^ = [^=].*= *$"}}
    )
    rows = list(usable_rows("wiki", wiki, "train", Where(here=tmp_path), Drops()))
    assert [row.text for row in rows] == ["= One =  first .  = = Part = =  more .", "= Two =  second ."]
    assert [row.number for row in rows] == [1, 6]
    threes = with_fields(wiki, documents=with_fields(wiki.documents, starts=None, rows=3))  # type: ignore[union-attr]
    assert len(list(usable_rows("wiki", threes, "train", Where(here=tmp_path), Drops()))) == 3


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return TextTokenizer(save_byte_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def preparation(source: Source, form: str = "finetune", tests: TestTexts | None = None, block: int = 64) -> Preparation:
    return Preparation("qa", source, form, Batch(sequences=2, block=block), 3, tests or TestTexts())  # type: ignore[arg-type]


def contents(store: BlockStore, tokenizer: TextTokenizer) -> list[str]:
    """The texts of all segments."""
    texts = []
    for index in range(len(store)):
        block = store.block(index)
        starts = [i for i in range(block.length) if block.positions[i] == 0]
        for a, b in zip(starts, [*starts[1:], block.length], strict=True):
            texts.append(tokenizer.decode(block.tokens[a:b].tolist()))
    return texts


def test_prepared_blocks_hold_every_row_and_cost_every_answer(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    write(tmp_path / "qa.jsonl", qa_rows(40, 2))
    source = Source.model_validate(QA)
    drops = Drops()
    home, facts = prepare(preparation(source), tokenizer, Where(here=tmp_path), tmp_path / "cache", drops)
    train, _, _ = sides(source, Where(here=tmp_path))
    assert sorted(contents(BlockStore(home), tokenizer)) == sorted(train)
    assert facts["documents"] == len(train)
    answers = sum(len(text.split("? ")[1]) + 2 for text in train)  # its bytes, the joining blank, the end token
    assert facts["loss_tokens"] == answers
    assert facts["cut_examples"] == 0
    again, more = prepare(preparation(source), tokenizer, Where(here=tmp_path), tmp_path / "cache", Drops())
    assert (again, more["digest"]) == (home, facts["digest"])
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [home.name], "no scratch folder is left"


def test_pretraining_reads_the_rows_as_text_with_loss_on_every_token(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    write(tmp_path / "qa.jsonl", qa_rows(10, 1))
    source = Source.model_validate(QA)
    home, facts = prepare(preparation(source, "pretrain"), tokenizer, Where(here=tmp_path), tmp_path / "c", Drops())
    train, _, _ = sides(source, Where(here=tmp_path))
    store = BlockStore(home)
    assert facts["tokens"] == sum(len(text) + 1 for text in train)
    starts = sum(int((store.block(i).positions[: store.block(i).length] == 0).sum()) for i in range(len(store)))
    assert facts["loss_tokens"] == facts["tokens"] - starts


def test_test_rows_are_kept_out_and_counted(tmp_path: Path, tokenizer: TextTokenizer) -> None:
    write(tmp_path / "qa.jsonl", qa_rows(20, 1))
    source = Source.model_validate({**QA, "held_out": None})
    tests = TestTexts(
        [
            TestText("exam", "a", "CONTEXT 3 Question 0?"),
            TestText("exam", "b", "context  7 question 0 https://t.co/x"),
            TestText("other", "c", "not there"),
        ]
    )
    with Drops(tmp_path / "drops.jsonl") as drops:
        home, _ = prepare(preparation(source, tests=tests), tokenizer, Where(here=tmp_path), tmp_path / "c", drops)
    texts = contents(BlockStore(home), tokenizer)
    assert len(texts) == 18
    assert not any(text.startswith(("context 3 ", "context 7 ")) for text in texts)
    assert drops.counts == {"test item of exam": 2}
    dropped = [json.loads(line) for line in (tmp_path / "drops.jsonl").read_text().splitlines()]
    assert [(e["file"], e["row"], e["how"], e["items"]) for e in dropped] == [
        ("qa.jsonl", 3, "same", ["a"]),
        ("qa.jsonl", 7, "same", ["b"]),
    ]
    assert dropped[0]["detail"] == "context 3 question 0? answer 3-0"


def test_a_row_that_does_not_fit_names_file_row_column_and_value(tmp_path: Path) -> None:
    rows = [{"text": "fine", "label": 1}, {"text": "odd", "label": 7}]
    write(tmp_path / "x.jsonl", rows)
    form = {"prompt": "{{ text }}", "label": {"column": "label", "names": ["a", "b"]}}
    source = Source.model_validate({"files": ["x.jsonl"], "form": form})
    with pytest.raises(
        DataError, match=r"source 'x', x.jsonl, row 1, column 'label': '7' is not a class id from 0 to 1"
    ):
        list(usable_rows("x", source, "train", Where(here=tmp_path), Drops()))


def test_no_row_left_is_an_error_with_its_counts(tmp_path: Path) -> None:
    write(tmp_path / "qa.jsonl", [{"context": "c", "question": "q", "answer": " "}] * 3)
    with pytest.raises(DataError, match=r"none of its 3 rows is left for train \(3 empty\)"):
        sides(Source.model_validate(QA), Where(here=tmp_path))


MOOD = {
    "files": ["mood.jsonl"],
    "form": {"prompt": "{{ text }}\nMood:", "label": {"column": "label", "names": ["bad", "good", "mixed"]}},
    "held_out": {"share": 0.5},
}
TASK = Task.model_validate(
    {"title": "Mood", "group": "g", "source": ["mood"], "scoring": "choice", "metrics": ["accuracy"]}
)


def test_items_are_stratified_stable_and_survive_the_file(tmp_path: Path) -> None:
    rows = [{"text": f"t{i}", "label": 0 if i % 10 < 6 else 1 if i % 10 < 9 else 2} for i in range(400)]
    write(tmp_path / "mood.jsonl", rows)
    sources = {"mood": Source.model_validate(MOOD)}
    where = Where(here=tmp_path)
    whole = build_items(TASK, sources, None, 1, where, Drops())
    some = build_items(TASK, sources, 40, 1, where, Drops())
    assert {item.id for item in some} < {item.id for item in whole}
    for target in range(3):
        share = sum(i.target == target for i in whole) / len(whole)
        assert abs(sum(i.target == target for i in some) - 40 * share) <= 1
    write_items(some, tmp_path / "items.jsonl")
    assert read_items(tmp_path / "items.jsonl") == some
    assert build_items(TASK, sources, 40, 2, where, Drops()) != some
    assert all(item.prompt.endswith("Mood:") and item.answer == item.choices[item.target] for item in some)


def test_shots_come_from_training_rows_and_take_classes_in_turn(tmp_path: Path) -> None:
    write(tmp_path / "mood.jsonl", [{"text": f"t{i}", "label": i % 3} for i in range(300)])
    sources = {"mood": Source.model_validate(MOOD)}
    items = build_items(TASK, sources, 10, 1, Where(here=tmp_path), Drops(), shots=4)
    assert len({item.shots for item in items}) == 1, "the same examples for all items"
    shots = [shot.removesuffix("\n\n") for shot in items[0].shots]
    assert [shot.split(" ")[-1] for shot in shots] == ["bad", "good", "mixed", "bad"]
    train = {row.text for row in usable_rows("mood", sources["mood"], "train", Where(here=tmp_path), Drops())}
    assert set(shots) <= train


def test_rows_of_another_source_are_not_tested_on(tmp_path: Path) -> None:
    write(tmp_path / "mood.jsonl", [{"text": f"they call it t{i}", "label": i % 3} for i in range(100)])
    write(
        tmp_path / "other.jsonl", [{"text": f"They call it T{i} https://t.co/x", "label": 0} for i in range(0, 100, 2)]
    )
    mood = Source.model_validate({**MOOD, "held_out": {"share": 0.5, "not_in": ["other"]}})
    other = Source.model_validate({**MOOD, "files": ["other.jsonl"], "form": {**MOOD["form"], "group": "{{ text }}"}})  # type: ignore[dict-item]
    drops = Drops()
    mood = with_fields(mood, form=with_fields(mood.form, group="{{ text }}"))
    items = build_items(TASK, {"mood": mood, "other": other}, None, 1, Where(here=tmp_path), drops)
    assert items
    assert all(int(item.parts[0].split("t")[-1]) % 2 == 1 for item in items)
    assert drops.counts["stands in another source"] > 10


def test_a_folder_without_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no tokenizer.json"):
        TextTokenizer(tmp_path)


def test_every_source_of_the_study_has_rows_on_both_sides_in_the_miniature() -> None:
    """A share that leaves a small source without a test row would fail every experiment of the demo."""
    sources = load_study("qwen2-finance", "demo").sources
    for name, one in sources.items():
        wanted: list[Side] = ["train"] if one.split else []
        if one.held_out:
            wanted.append("test")
        for side in wanted:
            assert next(usable_rows(name, one, side, Where("miniature"), Drops())).text, (name, side)


def test_a_prompt_in_training_is_the_prompt_that_generation_is_given(tmp_path: Path) -> None:
    """Even where a token of both together reaches across their boundary (":" and a line's end are one)."""
    tokenizer = TextTokenizer(locate_base(Base(id="regimen/tiny-qwen2", origin="packaged")))
    prompt, answer = "Write a function add.\nCode:", "\ndef add(x):"
    (pair,) = tokenizer.encode_pairs([prompt], [answer])
    assert pair.merges
    (example,), apart = _examples(tokenizer, [Rendered(prompt, answer)])
    assert apart == 1
    assert list(example.prompt) == tokenizer.encode_whole([prompt])[0]
    assert tokenizer.decode(list(example.answer)) == answer


def test_rows_that_are_read_otherwise_than_written_are_counted(tmp_path: Path) -> None:
    """A special token that is read as text; a prompt and answer that one token would have reached across."""
    rows = [("Code:", "\ndef add(x):"), ("Word:", "<|endoftext|> and more"), ("Say:", " yes")]
    write(tmp_path / "it.jsonl", [{"p": prompt, "a": answer} for prompt, answer in rows])
    form = {"prompt": "{{ p }}", "answer": "{{ a }}", "join": ""}
    source = Source.model_validate({"files": ["it.jsonl"], "form": form})
    tokenizer = TextTokenizer(locate_base(Base(id="regimen/tiny-qwen2", origin="packaged")))
    work = Preparation("it", source, "finetune", Batch(sequences=1, block=32), 1, TestTexts())
    _, facts = prepare(work, tokenizer, Where(here=tmp_path), tmp_path / "cache", Drops())
    assert (facts["special_as_text"], facts["read_apart"]) == (1, 1)
