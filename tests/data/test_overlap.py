"""Leaks, planted in every disguise, are found; nothing that is left holds a test text."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.data.cleaning import Drops
from regimen.data.keys import is_long, keys_of, loosened
from regimen.data.overlap import TestText, TestTexts, may_differ
from regimen.data.prepare import trainable_rows
from regimen.data.sources import Where
from regimen.study.sources import Source
from tests.support.row_files import write

TWEET = "$BYND - JPMorgan reels in expectations on Beyond Meat after a weak quarter https://t.co/bd0xbFGjkT"
STORY = (
    "The company said on Monday that revenue in the third quarter rose by eleven percent to 4.2 billion dollars, "
    "helped by higher prices and a mild winter, while the cost of raw materials fell for the second time this year."
)


def how(test: str, training: str) -> str | None:
    hits = TestTexts([TestText("task", "item", test)]).find([loosened(training)])[0]
    return hits[0].how if hits else None


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (TWEET, "same"),
        (TWEET.upper(), "same"),
        (TWEET.replace("bd0xbFGjkT", "zzzzzzzz"), "same"),
        (TWEET.replace("$BYND - ", ""), "same"),
        (TWEET.replace("JPMorgan", "JPMorgan,").replace(" ", "\n"), "same"),
        (f"Before the bell: {TWEET} More at noon.", "inside"),
        (f"x{TWEET.split('https')[0].strip()}x".replace("$BYND - ", ""), "inside"),
        (TWEET.replace("weak", "strong"), "near"),
        (TWEET.replace("JPMorgan", "Citi"), "near"),
        (TWEET.replace("weak ", ""), "near"),
        (TWEET.replace("after a", "after yet another"), "near"),
        (f"Before the bell: {TWEET.replace('weak', 'strong')} More at noon.", "near"),
        (TWEET.replace("weak", "strong").replace("JPMorgan", "Citi").replace("expectations", "hopes"), None),
        ("JPMorgan cuts its target for Beyond Meat", None),
    ],
)
def test_a_tweet_in_disguise(training: str, expected: str | None) -> None:
    assert how(TWEET, training) == expected


@pytest.mark.parametrize("changed", range(0, 37, 3))
def test_one_word_changed_anywhere_in_a_longer_text_is_found(changed: int) -> None:
    words = STORY.split()
    words[changed] = "other"
    assert how(STORY, f"Some words before. {' '.join(words)} And some words after.") == "near"


def test_what_is_short_is_compared_whole_and_never_looked_for_inside() -> None:
    assert how("good movie", "Good movie!") == "same"
    assert how("good movie", "a good movie, they say") is None
    assert how("$AAPL $MSFT https://t.co/x", "anything") is None, "nothing is left of it but blanks"
    assert how("antidisestablishmentarianism", "of antidisestablishmentarianism they spoke") is None
    assert how("they did it again", "and then they did it again, of course") == "inside"


def test_a_number_is_no_part_of_a_longer_number() -> None:
    assert how("the colour of box 1", "the colour of box 12 is red") is None
    assert how("7 boxes in the yard", "there are 17 boxes in the yard") is None
    assert how("the colour of box 1", "the colour of box 1: red") == "inside"
    assert how("the colour of crate 1", "the colour of crate 1.5 is red") is None
    assert how("5 crates in the yard", "there are 1.5 crates in the yard") is None
    assert how("the colour of crate 1.5", "the colour of crate 1.5 is red") == "inside"
    assert how("the colour of crate 1", "Read the colour of crate 1. Then write it down.") == "inside"
    assert how("the weight of box 1.5 stones", "The weight of box 1.5 STONES!") == "same"


def test_all_items_of_one_text_are_named_and_few_words_are_no_twins() -> None:
    tests = TestTexts([TestText("a", "1", STORY), TestText("b", "2", STORY.upper()), TestText("c", "3", TWEET)])
    assert {(h.task, h.item) for h in tests.find([loosened("so: " + STORY)])[0]} == {("a", "1"), ("b", "2")}
    assert may_differ(7) == 0
    assert (may_differ(8), may_differ(19), may_differ(20), may_differ(45)) == (1, 1, 2, 4)


def test_without_near_only_the_text_itself_is_looked_for() -> None:
    tests = TestTexts([TestText("text", "1", STORY, near=False)])
    found = tests.find([loosened(STORY.replace("Monday", "Friday")), loosened("I: " + STORY)])
    assert [[hit.how for hit in hits] for hits in found] == [[], ["inside"]]


WORD = st.text(st.sampled_from("abcdeé’.,-$3 "), min_size=1, max_size=6)
TEXT = st.lists(
    st.sampled_from(["alpha", "Beta", "GAMMA", "delta,", "epsilon", "zéta", "$ETA", "9.5"]) | WORD, max_size=14
)
TEXTS = st.lists(TEXT.map(" ".join), min_size=1, max_size=12)


def stands_in(text: str, other: str) -> bool:
    """Whether a text stands in another, no number of it being part of a longer one."""
    before, after = ("(?<![0-9])" if text[:1].isdecimal() else ""), ("(?![0-9])" if text[-1:].isdecimal() else "")
    return re.search(before + re.escape(text) + after, other) is not None


@given(TEXTS, TEXTS, st.data())
@settings(max_examples=150, deadline=None)
def test_no_loosened_test_text_is_left_inside_a_training_text(
    tests: list[str], training: list[str], data: st.DataObject
) -> None:
    """The naive search is the oracle. Texts below the stated length are compared whole."""
    planted = [
        f"{data.draw(st.sampled_from(['', 'x', 'Read: ']))}{text.upper()}{data.draw(st.sampled_from(['', 'y', '. z']))}"
        for text in tests
    ]
    normals = [loosened(text) for text in training + planted]
    hits = TestTexts(TestText("t", str(i), text) for i, text in enumerate(tests)).find(normals)
    kept = [text for text, found in zip(training + planted, hits, strict=True) if not found]
    for text in tests:
        (key,) = keys_of([loosened(text)])
        if is_long(key):
            assert not any(stands_in(loosened(text), loosened(left)) for left in kept)
        elif key:
            assert key not in keys_of([loosened(left) for left in kept])


def test_the_search_agrees_with_the_naive_one_over_many_texts() -> None:
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(1, 7))) for _ in range(300)]
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 40))) for _ in range(400)]
    rows = [" ".join(rng.choices(words, k=rng.randint(20, 200))) for _ in range(300)]
    for i in range(0, 300, 3):
        rows[i] += " " + texts[i] + " " + rows[i][:30]
    hits = TestTexts(TestText("t", str(i), text) for i, text in enumerate(texts)).find(rows)
    for row, found in zip(rows, hits, strict=True):
        naive = {str(i) for i, text in enumerate(texts) if row == text or (is_long(text.encode()) and text in row)}
        assert {hit.item for hit in found if hit.how != "near"} == naive


KEYS = [
    ("Well-known, and “quoted”: it’s … so", "well known and quoted it s so"),
    ("cafe\u0301 z\u200bero \ufb01ne Stra\u00dfe", "café zero fine strasse"),
    ("$BYND - JPMorgan reels in\nhttps://t.co/bd0xbFGjkT hopes again", "jpmorgan reels in hopes again"),
    ("https://a.b/c?x=1", "https a b c x = 1"),
    ("$AAPL", "aapl"),
    ("$x$ and $y$ are $name", "x and y are name"),
    ("3+4", "3 + 4"),
    ("(3 - 4) * x = 2", "3 - 4 * x = 2"),
    ("covid-19, 2021-03-01", "covid 19 2021 - 03 - 01"),
    ("我喜欢这个电影。", "我 喜 欢 这 个 电 影"),
    ("?!", "?!"),
]


@pytest.mark.parametrize(("text", "key"), KEYS)
def test_what_a_key_leaves_out(text: str, key: str) -> None:
    assert keys_of([loosened(text), "x"]) == [key.encode(), b"x"]


@given(st.lists(TEXT.map(" ".join) | st.text(max_size=12), max_size=6))
@settings(max_examples=150, deadline=None)
def test_a_key_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    loose = [loosened(text) for text in texts]
    keys = keys_of(loose)
    assert keys == [key for text in loose for key in keys_of([text])]
    assert all(b"\n" not in key for key in keys)
    assert all(key.split() == key.split(b" ") for key in keys if key and key[:1].isalnum())


def rows_of_news(count: int) -> list[dict[str, Any]]:
    rng = random.Random(3)
    words = [f"{a}{b}" for a in ("mar", "fon", "tel", "gru", "pas") for b in ("ket", "d", "ling", "ster", "ion", "ve")]
    return [{"text": " ".join(rng.choices(words, k=25))} for _ in range(count)]


def test_leaks_leave_the_training_side_and_stand_in_the_ledger(tmp_path: Path) -> None:
    rows = rows_of_news(40)
    tests = [row["text"] for row in rows[:5]]
    words = tests[3].split()
    words[12] = "otherwise"
    rows[0]["text"] = tests[0].title()
    rows[1]["text"] = f"{tests[1]} http://example.org/1"
    rows[2]["text"] = f"He said: {tests[2]}, and more."
    rows[3]["text"] = " ".join(words)
    write(tmp_path / "news.jsonl", rows)
    source = Source.model_validate({"files": ["news.jsonl"], "form": {"text": "{{ text }}"}})
    find = TestTexts(TestText("exam", f"i{i}", text) for i, text in enumerate(tests))
    with Drops(tmp_path / "drops.jsonl") as drops:
        kept = list(trainable_rows("news", source, "pretrain", Where(here=tmp_path), find, drops))
    assert [row.number for batch in kept for row in batch] == list(range(5, 40))
    entries = [json.loads(line) for line in (tmp_path / "drops.jsonl").read_text().splitlines()]
    assert [(e["row"], e["how"], e["task"], e["items"]) for e in entries] == [
        (0, "same", "exam", ["i0"]),
        (1, "same", "exam", ["i1"]),
        (2, "inside", "exam", ["i2"]),
        (3, "near", "exam", ["i3"]),
        (4, "same", "exam", ["i4"]),
    ]
    assert drops.counts == {
        "holds a test item of exam": 1,
        "near twin of a test item of exam": 1,
        "test item of exam": 3,
    }


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("colour of crate 1", ["same"]),
        ("the colour of crate 1 is red", ["inside"]),
        ("Colour of crate 1: red", ["inside"]),
        ("colour of crate 12", []),
        ("colour of crate 12 is red", []),
    ],
)
def test_a_longer_number_is_another_text(text: str, how: list[str]) -> None:
    tests = TestTexts([TestText("t", "a", "colour of crate 1")])
    assert [hit.how for hit in tests.find([loosened(text)])[0]] == how
