"""The miniature's tasks can be learned and are not trivial: words alone tell something, and not all."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from regimen.data.miniature import table, tables
from tests.support.miniature_texts import given, strings

TWEETS, TOPICS = "zeroshot/twitter-financial-news-sentiment", "zeroshot/twitter-financial-news-topic"
Labelled = list[tuple[str, object]]


def labelled(hub: str, config: str | None, split: str, text: str) -> Labelled:
    return [(row[text], row["label"]) for row in table(hub, config, split)]


def financial_news() -> tuple[Labelled, Labelled]:
    """FinGPT's sentiment set without repeats, grades folded into three, three tenths of the rest held out by hash."""
    train, test = {}, {}
    for row in table("FinGPT/fingpt-sentiment-train", None, "train"):
        chosen = hashlib.sha256(row["input"].encode()).digest()[0] < 77 and "tweet" not in row["instruction"]
        (test if chosen else train)[row["input"]] = row["output"].split()[-1]
    return list(train.items()), list(test.items())


def word_accuracy(train: Labelled, test: Labelled) -> tuple[float, float]:
    """Accuracy on `test` of a logistic regression over TF-IDF unigrams, and of always saying the commonest label."""
    cutter = TfidfVectorizer()
    seen = cutter.fit_transform([text for text, _ in train])
    model = LogisticRegression(max_iter=500, C=3.0).fit(seen, [label for _, label in train])
    truth = [label for _, label in test]
    accuracy = model.score(cutter.transform([text for text, _ in test]), truth)
    return float(accuracy), max(Counter(truth).values()) / len(truth)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        [labelled(TWEETS, None, split, "text") for split in ("train", "validation")],
        financial_news(),
        [labelled("stanfordnlp/imdb", None, split, "text") for split in ("train", "test")],
        [labelled("nyu-mll/glue", "sst2", split, "sentence") for split in ("train", "validation")],
        [labelled(TOPICS, None, split, "text") for split in ("train", "validation")],
    ],
    ids=["tweets", "financial-news", "imdb", "sst2", "topics"],
)
def test_words_without_their_order_tell_something_and_not_all(train, test):
    accuracy, majority = word_accuracy(train, test)
    assert majority + 0.05 <= accuracy <= 0.90


def test_every_topic_has_its_share():
    for split in ("train", "validation"):
        rows = table(TOPICS, None, split)
        shares = Counter(row["label"] for row in rows)
        assert min(shares.values()) >= 0.02 * len(rows)
        assert max(shares.values()) >= 2 * min(shares.values())


WORDS_OF = {
    ("zeroshot/twitter-financial-news-sentiment", "text"): (5, 22),
    ("zeroshot/twitter-financial-news-topic", "text"): (5, 22),
    ("FinGPT/fingpt-ner", "input"): (6, 22),
    ("stanfordnlp/imdb", "text"): (15, 32),
    ("virattt/financial-qa-10K", "context"): (8, 28),
    ("virattt/financial-qa-10K", "question"): (3, 13),
    ("openai/gsm8k", "question"): (8, 28),
    ("openai/gsm8k", "answer"): (3, 8),
    ("Skylion007/openwebtext", "text"): (40, 120),
    ("FinGPT/fingpt-convfinqa", "input"): (8, 45),
}


@pytest.mark.parametrize(("hub", "column"), WORDS_OF)
def test_texts_are_short(hub, column):
    low, high = WORDS_OF[hub, column]
    for key in tables():
        if key[0] == hub:
            lengths = [len(row[column].replace("<br /><br />", " ").split()) for row in table(*key)]
            assert low <= min(lengths)
            assert max(lengths) <= high


def test_sentences_of_sst2_are_short():
    for split in ("train", "validation"):
        lengths = [len(row["sentence"].split()) for row in table("nyu-mll/glue", "sst2", split)]
        assert 6 <= min(lengths) <= max(lengths) <= 20


def pieces(text: str) -> int:
    """Words, digits and runs of marks: what a small byte-pair vocabulary makes of frequent words."""
    return len(re.findall(r"[A-Za-z]+|\d|[^\w\s]+|\n", text))


def test_worked_sums_fit_what_is_generated_for_them():
    """24 tokens; calculator marks are taken out before."""
    for split in ("train", "test"):
        for row in table("openai/gsm8k", None, split):
            assert pieces(re.sub(r"<<[^<>]*>>", "", row["answer"])) <= 24


def test_solutions_fit_what_is_generated_for_them():
    assert max(pieces(row["canonical_solution"]) for row in table("openai/openai_humaneval", None, "test")) <= 32


def test_the_vocabulary_is_small():
    """At most 1,600 words over all tables, numbers, tickers, links and the strings of programs' tests aside."""
    words: set[str] = set()
    for key in tables():
        for row in table(*key):
            for column, value in row.items():
                if column in ("ticker", "test"):
                    continue
                for text in strings(value):
                    bare = re.sub(r"https?://\S+|\$[A-Z]{2,5}\b|>>>.*", " ", text)
                    words.update(re.findall(r"[a-z]+", bare.lower()))
    assert 800 < len(words) <= 1600


def test_every_text_is_plain():
    """One line of printable ASCII where the real rows are one line; no template mark is left over."""
    for key in tables():
        for row in given(key):
            for text in row:
                assert text.isascii()
                assert "  " not in text.replace("    ", "").replace("|  |", "| |")
                if key[0] not in ("bigcode/bigcodebench", "openai/openai_humaneval", "deepmind/math_dataset"):
                    assert not re.search(r"\{\w*\}|\[\w*\|", text), text
