"""Which tables there are, how large they are, and in which order they are made.

Owns the list of tables, their row numbers, and what is done to a table once its rows are drawn. What is held out is
made first, so that every training table can be kept clear of all of it. A table that has one split counts as held
out as a whole, because a part of it will be cut off later. Knows no words.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from regimen.data.miniature import (
    advice,
    articles,
    coding,
    dialogues,
    entities,
    exams,
    exercises,
    filings,
    instructions,
    judgements,
    pairs,
    prose,
    reviews,
    sentiment,
    stories,
    sums,
    topics,
)  # fmt: skip
from regimen.data.miniature.chance import Chance
from regimen.data.miniature.separation import Separation
from regimen.data.miniature.table import Draw, Row, Texts, collect, columns

Key = tuple[str, str | None, str]
Finish = Callable[[list[Row]], list[Row]]


class Made(NamedTuple):
    """A table to be made: about `size` rows, of which `texts` must not recur elsewhere."""

    key: Key
    draw: Draw
    size: int
    texts: Texts
    finish: Finish = list


def _numbered(column: str, form: str = "{}") -> Finish:
    """Puts the row's number into `column`, last unless it is there."""

    def finish(rows: list[Row]) -> list[Row]:
        return [row | {column: number if form == "{}" else form.format(number)} for number, row in enumerate(rows)]

    return finish


def _by_label(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row["label"])


OPENWEBTEXT, WIKITEXT, BOOKCORPUS = "Skylion007/openwebtext", "Salesforce/wikitext", "bookcorpus/bookcorpus"
FINANCIAL_QA, SENTIMENT = "virattt/financial-qa-10K", "FinGPT/fingpt-sentiment-train"
FINANCE_ALPACA, FIQA = "gbharti/finance-alpaca", "FinGPT/fingpt-fiqa_qa"
TWEETS, TOPICS = "zeroshot/twitter-financial-news-sentiment", "zeroshot/twitter-financial-news-topic"
CONVFINQA, NER = "FinGPT/fingpt-convfinqa", "FinGPT/fingpt-ner"
IMDB, GLUE, GSM8K, MATH = "stanfordnlp/imdb", "nyu-mll/glue", "openai/gsm8k", "deepmind/math_dataset"
BIGCODEBENCH, HUMANEVAL = "bigcode/bigcodebench", "openai/openai_humaneval"
MMLU_PRO, ALPACA = "TIGER-Lab/MMLU-Pro", "tatsu-lab/alpaca"
RAW = "wikitext-2-raw-v1"

SINGLE_CONFIGS = {
    OPENWEBTEXT: "plain_text", BOOKCORPUS: "plain_text", FINANCIAL_QA: "default", SENTIMENT: "default",
    FINANCE_ALPACA: "default", FIQA: "default", TWEETS: "default", TOPICS: "default", CONVFINQA: "default",
    NER: "default", IMDB: "plain_text", GSM8K: "main", BIGCODEBENCH: "default", HUMANEVAL: "openai_humaneval",
    MMLU_PRO: "default", ALPACA: "default",
}  # fmt: skip
"""Where one config is enough, its name on the Hub, which stands for None."""

_TEXT, _INPUT, _SENTENCE, _QUESTION = columns("text"), columns("input"), columns("sentence"), columns("question")
_PAIR, _NLI = columns("sentence1", "sentence2"), columns("premise", "hypothesis")
_IDX, _EXAM = _numbered("idx"), _numbered("question_id")

HELD: tuple[Made, ...] = (
    Made((TWEETS, None, "validation"), sentiment.tweet, 300, _TEXT),
    Made((TOPICS, None, "validation"), topics.draw, 400, _TEXT),
    Made((CONVFINQA, None, "test"), dialogues.draw, 200, _INPUT),
    Made((NER, None, "test"), entities.draw, 100, _INPUT),
    Made((IMDB, None, "test"), reviews.imdb, 400, _TEXT, _by_label),
    Made((GLUE, "sst2", "validation"), reviews.sst2, 300, _SENTENCE, _IDX),
    Made((GLUE, "cola", "validation"), judgements.draw, 200, _SENTENCE, _IDX),
    Made((GLUE, "mrpc", "validation"), pairs.mrpc, 150, _PAIR, _IDX),
    Made((GLUE, "mrpc", "test"), pairs.mrpc, 150, _PAIR, _IDX),
    Made((GLUE, "mnli", "validation_matched"), pairs.mnli, 250, _NLI, _IDX),
    Made((GSM8K, None, "test"), sums.draw, 300, _QUESTION),
    *(Made((MATH, name, "test"), exercises.drawer(name), 40, _QUESTION) for name in exercises.MODULES),
    Made((HUMANEVAL, None, "test"), coding.humaneval, 80, coding.asked, _numbered("task_id", "HumanEval/{}")),
    Made((WIKITEXT, RAW, "test"), articles.draw, 400, articles.lines_of),
    Made((WIKITEXT, RAW, "validation"), articles.draw, 400, articles.lines_of),
    Made((MMLU_PRO, None, "test"), exams.examiner(reasoned=False), 500, _QUESTION, _EXAM),
    Made((MMLU_PRO, None, "validation"), exams.examiner(reasoned=True), 70, _QUESTION, _EXAM),
    Made((FINANCIAL_QA, None, "train"), filings.draw, 1300, columns("context")),
    Made((FIQA, None, "train"), advice.fiqa, 600, _INPUT),
    Made((BIGCODEBENCH, None, "v0.1.0_hf"), coding.bigcodebench, 300, coding.task, _numbered("task_id", "BigCodeBench/{}")),
)  # fmt: skip
"""Test and validation splits, and tables of one split."""

NEWS_PARTS = (
    (Made((SENTIMENT, "phrase-bank", "train"), sentiment.phrase_bank, 260, _INPUT), 3),
    (Made((SENTIMENT, "opinions", "train"), sentiment.opinion, 80, _INPUT), 4),
    (Made((SENTIMENT, "graded", "train"), sentiment.graded, 560, _INPUT), 1),
)
"""The parts of FinGPT's sentiment set beside the tweets, and how often each row is repeated there."""

TWEET_REPEATS = 2

ALPACA_PARTS = (
    Made((FINANCE_ALPACA, "finance", "train"), advice.alpaca, 800, instructions.asked),
    Made((FINANCE_ALPACA, "general", "train"), instructions.finance_alpaca, 400, instructions.asked),
)

TRAINING: tuple[Made, ...] = (
    Made((TWEETS, None, "train"), sentiment.tweet, 1300, _TEXT),
    Made((TOPICS, None, "train"), topics.draw, 1600, _TEXT),
    Made((CONVFINQA, None, "train"), dialogues.draw, 700, _INPUT),
    Made((NER, None, "train"), entities.draw, 500, _INPUT),
    Made((IMDB, None, "train"), reviews.imdb, 1300, _TEXT, _by_label),
    Made((GLUE, "sst2", "train"), reviews.sst2, 1300, _SENTENCE, _IDX),
    Made((GLUE, "cola", "train"), judgements.draw, 900, _SENTENCE, _IDX),
    Made((GLUE, "mrpc", "train"), pairs.mrpc, 700, _PAIR, _IDX),
    Made((GLUE, "mnli", "train"), pairs.mnli, 1000, _NLI, _IDX),
    Made((GSM8K, None, "train"), sums.draw, 1300, _QUESTION),
    *(Made((MATH, name, "train"), exercises.drawer(name), 120, _QUESTION) for name in exercises.MODULES),
    Made((ALPACA, None, "train"), instructions.alpaca, 700, instructions.asked),
    Made((OPENWEBTEXT, None, "train"), prose.draw, 1800, _TEXT),
    Made((WIKITEXT, RAW, "train"), articles.draw, 2100, articles.lines_of),
    Made((BOOKCORPUS, None, "train"), stories.chapter, 5000, _TEXT),
)  # fmt: skip

ALL: tuple[Key, ...] = tuple(
    sorted(
        [*(made.key for made in (*HELD, *TRAINING)), (SENTIMENT, None, "train"), (FINANCE_ALPACA, None, "train")],
        key=lambda key: (key[0].lower(), key[1] or "", key[2]),
    )
)


@cache
def rows(key: Key) -> list[Row]:
    """The rows of a table in ALL, made once."""
    held, separation = _held()
    if key in held:
        return held[key]
    if key == (SENTIMENT, None, "train"):
        parts = [(held[made.key], times) for made, times in NEWS_PARTS]
        parts.append(([sentiment.as_fingpt(row) for row in rows((TWEETS, None, "train"))], TWEET_REPEATS))
        return _shuffled(key, [row for part, times in parts for row in part * times])
    if key == (FINANCE_ALPACA, None, "train"):
        return _shuffled(key, [row for made in ALPACA_PARTS for row in held[made.key]])
    (made,) = (made for made in TRAINING if made.key == key)
    return _make(made, separation, hold=False)


def more_general_text(count: int, seed: str) -> list[str]:
    """`count` pages of general text beyond those of OpenWebText's table, as clear of what is held out as they are."""
    _, separation = _held()
    return [row["text"] for row in collect(prose.draw, count, seed, _TEXT, separation, hold=False)]


@cache
def _held() -> tuple[dict[Key, list[Row]], Separation]:
    separation = Separation()
    order = (*HELD, *(made for made, _ in NEWS_PARTS), *ALPACA_PARTS)
    return {made.key: _make(made, separation, hold=True) for made in order}, separation


def _make(made: Made, separation: Separation, *, hold: bool) -> list[Row]:
    seed = "/".join(part or "" for part in made.key)
    return made.finish(collect(made.draw, made.size, seed, made.texts, separation, hold=hold))


def _shuffled(key: Key, rows: list[Row]) -> list[Row]:
    return Chance(*key, "order").shuffled(rows)
