"""Tokens at the ends of texts, the cut between prompt and answer, and special tokens that are text."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.data.tokenizer import TextTokenizer
from tests.support.tokenizers import begin_texts_with, save_byte_tokenizer, save_prefixing_tokenizer

PACKAGED = Path(str(resources.files("regimen") / "assets" / "tiny-qwen2"))


@pytest.fixture(scope="module")
def plain() -> TextTokenizer:
    return TextTokenizer(PACKAGED)


@pytest.fixture(scope="module")
def prefixing(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return TextTokenizer(save_prefixing_tokenizer(tmp_path_factory.mktemp("prefixing")))


def test_a_begin_of_text_token_is_where_the_tokenizer_adds_it(plain: TextTokenizer, prefixing: TextTokenizer) -> None:
    assert (plain.starts, plain.opening, plain.prefix) == ([], [plain.end], plain.end)
    assert (prefixing.starts, prefixing.opening, prefixing.prefix) == ([1], [1], 1)
    assert prefixing.encode_whole(["the crate"])[0] == [1, *prefixing.encode("the crate")]
    assert plain.encode_whole(["the crate"]) == plain.encode_many(["the crate"])


def test_prompt_and_answer_are_one_text(prefixing: TextTokenizer) -> None:
    """Apart, the answer would get a blank of its own: "Answer:" + " yes" read as "Answer:  yes"."""
    (pair,) = prefixing.encode_pairs(["Is the crate here?\nAnswer:"], [" yes"])
    assert [*pair.prompt, *pair.answer] == prefixing.encode_whole(["Is the crate here?\nAnswer: yes"])[0]
    assert pair.prompt == prefixing.encode_whole(["Is the crate here?\nAnswer:"])[0]
    assert prefixing.decode(pair.answer) == "yes"
    assert not pair.merges
    assert len(prefixing.encode(" yes")) > len(pair.answer)


def test_a_token_that_reaches_across_belongs_to_the_answer(plain: TextTokenizer) -> None:
    prompt, answer = "def f():\n", "    return 1"
    (pair,) = plain.encode_pairs([prompt], [answer])
    assert [*pair.prompt, *pair.answer] == plain.encode(prompt + answer)
    assert plain.decode(pair.answer).endswith("    return 1")


TEXT = st.text(st.sampled_from("ab é1.,:?\n\t'-世<|>") | st.characters(codec="utf-8"), max_size=20)


@given(st.lists(st.tuples(TEXT, st.sampled_from(["", " ", "\n"]), TEXT), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_cut_pairs_are_the_whole_text(plain: TextTokenizer, rows: list[tuple[str, str, str]]) -> None:
    """Also where the two are tokenised apart because a word ends between them."""
    prompts, answers = [row[0] for row in rows], [row[1] + row[2] for row in rows]
    for prompt, answer, pair in zip(prompts, answers, plain.encode_pairs(prompts, answers), strict=True):
        assert [*pair.prompt, *pair.answer] == plain.encode(prompt + answer)
        if not pair.merges:
            assert pair.prompt == plain.encode(prompt)


def test_special_tokens_in_a_text_are_text(plain: TextTokenizer) -> None:
    text = "they print <|endoftext|> at the end"
    assert plain.end not in plain.encode(text)
    assert plain.decode(plain.encode(text)) == text
    assert plain.end in plain.encode_rendered([text])[0]
    assert plain.holds_special(text)
    assert not plain.holds_special("a < b | c > d, <|no such token|>")


def test_bytes_without_words_are_cut_right(tmp_path: Path) -> None:
    tokenizer = TextTokenizer(save_byte_tokenizer(tmp_path))
    (pair,) = tokenizer.encode_pairs(["ab"], [" cd"])
    assert (len(pair.prompt), len(pair.answer)) == (2, 3)


def test_a_token_before_every_text_is_read_from_the_files(tmp_path: Path) -> None:
    shutil.copytree(PACKAGED, tmp_path / "base")
    tokenizer = TextTokenizer(begin_texts_with(tmp_path / "base", "<|im_start|>"))
    assert tokenizer.starts == [1]
    assert tokenizer.encode_pairs(["x:"], [" y"])[0].prompt[0] == 1
