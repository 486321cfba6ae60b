"""No text of a test split recurs, or nearly recurs, in training; measured here by another route than the package's."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from regimen.data.miniature import tables
from regimen.data.miniature.separation import Separation
from tests.support.miniature_texts import ONE_SPLIT, given, held_out_keys, normalised, training_keys

BLANKS: Callable[[str], list[str]] = str.split
LETTERS: Callable[[str], list[str]] = re.compile(r"\w+").findall


def grams(words: list[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4)))


def texts_of(keys) -> set[str]:
    return {normalised(text) for key in keys for row in given(key) for text in row}


HELD = texts_of(held_out_keys())
TRAINED = texts_of(training_keys())
"""Normalised texts; blank lines of WikiText are not texts."""


def nearest(held: set[str], others: set[str], cut: Callable[[str], list[str]]) -> tuple[float, str, str]:
    """The largest Jaccard similarity of word 5-gram sets between different texts of the two sets."""
    sets = {text: grams(cut(text)) for text in held}
    owners = defaultdict(list)
    for text, mine in sets.items():
        for gram in mine:
            owners[gram].append(text)
    best = (0.0, "", "")
    for other in others:
        mine = grams(cut(other))
        shared = Counter(text for gram in mine if gram in owners for text in owners[gram] if text != other)
        for text, count in shared.items():
            best = max(best, (count / (len(mine) + len(sets[text]) - count), text, other))
    return best


def test_no_test_text_equals_a_training_text():
    assert not HELD & TRAINED


@pytest.mark.parametrize("cut", [BLANKS, LETTERS], ids=["blanks", "letters"])
def test_no_test_text_is_near_a_training_text(cut):
    similarity, held, other = nearest(HELD, TRAINED, cut)
    assert similarity < 0.5, (held, other)


def test_no_test_text_lies_in_a_training_text():
    """Every test text is looked up at the places where its first two words stand."""
    starts = defaultdict(list)
    for text in HELD:
        starts[" ".join(text.split()[:2])].append(text)
    for other in TRAINED:
        words = other.split()
        for at in range(len(words)):
            for length in (1, 2):
                for text in starts.get(" ".join(words[at : at + length]), ()):
                    assert f"{text} " not in f"{other} ", (text, other)


@pytest.mark.parametrize("hub", ONE_SPLIT)
def test_a_data_set_of_one_split_can_be_cut_by_text(hub):
    """Its texts differ from each other as test texts differ from training texts, and from all other training."""
    (key,) = (key for key in tables() if key[0] == hub)
    mine = texts_of([key])
    if hub == "FinGPT/fingpt-sentiment-train":
        mine -= texts_of([("zeroshot/twitter-financial-news-sentiment", None, "train")])
    others = texts_of([other for other in training_keys() if other[0] != hub])
    similarity, text, other = nearest(mine, mine | others, BLANKS)
    assert similarity < 0.5, (text, other)
    assert not mine & others


@pytest.mark.parametrize("key", [key for key in training_keys() if key[0] not in ("Salesforce/wikitext", *ONE_SPLIT)])
def test_no_training_row_is_there_twice(key):
    rows = given(key)
    assert len(set(rows)) == len(rows)


def test_training_covers_the_words_of_the_tests():
    """What is split is how words are combined; a word of a test text that training has not is a number or a ticker."""
    known = {word for text in TRAINED for word in re.findall(r"[a-z]+", text)}
    new = {word for text in HELD for word in re.findall(r"[a-z]+", text)} - known
    assert len(new) <= 5, new


WORDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=14).map(" ".join)


@examples(held=st.lists(WORDS, min_size=1, max_size=6), text=WORDS)
def test_separation_finds_whatever_a_plain_search_finds(held, text):
    separation = Separation()
    for other in held:
        separation.add(other)
    inside = any(f" {other} " in f" {text} " for other in held)
    similar = max(
        len(grams(text.split()) & grams(other.split())) / len(grams(text.split()) | grams(other.split()))
        for other in held
    )
    if inside or similar >= 0.5:
        assert not separation.clear(text)
    elif similar == 0:
        assert separation.clear(text)


@pytest.mark.parametrize(
    "text",
    [
        "Norvell profit rises 4% in the first quarter",
        "$NRVL norvell  PROFIT rises 4% in the first quarter https://t.co/abcdef1234",
        "today: Norvell profit rises 4% in the first quarter, says Lion Bank",
        "Norvell profit rises 4% in the first month",
    ],
)
def test_separation_sees_through_case_links_tickers_and_small_changes(text):
    separation = Separation()
    separation.add("Norvell profit rises 4% in the first quarter")
    separation.add("Rosa sang.")
    assert not separation.clear(text)
    assert not separation.clear("yesterday Rosa sang.")
    assert separation.clear("Profit of Norvell: in the first quarter it rises 4%")
