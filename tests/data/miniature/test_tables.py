"""The miniature's tables have the Hub's columns and encodings, and are the same everywhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from regimen.data.miniature import table, tables
from regimen.errors import SourceMissing
from tests.support.checkout import ROOT, SHARED
from tests.support.miniature_texts import COLUMNS, digests, named

HERE = Path(__file__).parent
REAL = SHARED / "data"
GOLDEN = json.loads((HERE / "golden.json").read_text())

ROWS = {
    ("Skylion007/openwebtext", None, "train"): 1800, ("Salesforce/wikitext", "wikitext-2-raw-v1", "train"): 2100,
    ("bookcorpus/bookcorpus", None, "train"): 5000, ("virattt/financial-qa-10K", None, "train"): 1300,
    ("FinGPT/fingpt-sentiment-train", None, "train"): 4260, ("gbharti/finance-alpaca", None, "train"): 1200,
    ("FinGPT/fingpt-fiqa_qa", None, "train"): 600, ("zeroshot/twitter-financial-news-sentiment", None, "train"): 1300,
    ("zeroshot/twitter-financial-news-sentiment", None, "validation"): 300,
    ("zeroshot/twitter-financial-news-topic", None, "train"): 1600,
    ("zeroshot/twitter-financial-news-topic", None, "validation"): 400,
    ("FinGPT/fingpt-convfinqa", None, "train"): 700, ("FinGPT/fingpt-convfinqa", None, "test"): 200,
    ("FinGPT/fingpt-ner", None, "train"): 500, ("FinGPT/fingpt-ner", None, "test"): 100,
    ("stanfordnlp/imdb", None, "train"): 1300, ("stanfordnlp/imdb", None, "test"): 400,
    ("nyu-mll/glue", "sst2", "train"): 1300, ("nyu-mll/glue", "sst2", "validation"): 300,
    ("openai/gsm8k", None, "train"): 1300, ("openai/gsm8k", None, "test"): 300,
    ("bigcode/bigcodebench", None, "v0.1.0_hf"): 300, ("TIGER-Lab/MMLU-Pro", None, "test"): 500,
    ("tatsu-lab/alpaca", None, "train"): 700,
}  # fmt: skip


def rows_of_the_hub(key: tuple[str, str | None, str]) -> list[dict[str, object]] | None:
    path = REAL / key[0] / (key[1] or "") / f"{key[2]}.jsonl"
    if not path.is_file():
        return None
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize("key", tables(), ids=lambda key: "-".join(part for part in key if part))
def test_columns_are_those_of_the_hub(key):
    rows = table(*key)
    assert {tuple(sorted(row)) for row in rows} == {tuple(sorted(COLUMNS[named(key)]))}
    if (real := rows_of_the_hub(key)) is not None:
        kinds = {name: type(value) for name, value in real[0].items()}
        assert all({name: type(value) for name, value in row.items()} == kinds for row in rows)


@pytest.mark.parametrize("key", ROWS)
def test_there_are_as_many_rows_as_stated(key):
    """Whole dialogues and stories are kept, so that a table may have a few rows more."""
    assert ROWS[key] <= len(table(*key)) <= ROWS[key] + 15


def test_humaneval_has_eighty_tasks():
    assert [row["task_id"] for row in table("openai/openai_humaneval", None, "test")] == [
        f"HumanEval/{number}" for number in range(80)
    ]


def labels(key, column="label") -> set[object]:
    return {row[column] for row in table(*key)}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("zeroshot/twitter-financial-news-sentiment", None, "validation"), {0, 1, 2}),
        (("zeroshot/twitter-financial-news-topic", None, "validation"), set(range(20))),
        (("stanfordnlp/imdb", None, "test"), {0, 1}),
        (("nyu-mll/glue", "sst2", "validation"), {0, 1}),
        (("nyu-mll/glue", "cola", "train"), {0, 1}),
        (("nyu-mll/glue", "mrpc", "test"), {0, 1}),
        (("nyu-mll/glue", "mnli", "train"), {0, 1, 2}),
    ],
)
def test_labels_are_those_of_the_hub(key, expected):
    assert labels(key) == expected
    if (real := rows_of_the_hub(key)) is not None:
        assert {row["label"] for row in real} == expected


@pytest.mark.parametrize("name", ["sentiment-train", "fiqa_qa", "convfinqa", "ner"])
def test_fingpt_instructions_and_answers_are_worded_as_on_the_hub(name):
    key = (f"FinGPT/fingpt-{name}", None, "train")
    rows = table(*key)
    if (real := rows_of_the_hub(key)) is None:
        pytest.skip("no real rows here")
    assert {row["instruction"] for row in rows} == {row["instruction"] for row in real}
    if name == "sentiment-train":
        wordings = {(row["instruction"], row["output"]) for row in rows}
        assert wordings == {(row["instruction"], row["output"]) for row in real}
    if name == "ner":
        ending = re.compile(r" is (?:a person|an organization|a location)(?=, |\.$)")
        shapes = [ending.sub("|", str(row["output"])).count(" is ") for row in (*rows, *real)]
        assert not any(shapes)


def test_imdb_is_sorted_by_label():
    for split in ("train", "test"):
        marks = [row["label"] for row in table("stanfordnlp/imdb", "plain_text", split)]
        assert marks == sorted(marks)


def test_glue_rows_are_numbered():
    for key in tables():
        if key[0] == "nyu-mll/glue":
            rows = table(*key)
            assert [row["idx"] for row in rows] == list(range(len(rows)))


def test_wikitext_can_be_cut_into_articles_at_its_titles():
    lines = [row["text"] for row in table("Salesforce/wikitext", "wikitext-2-raw-v1", "test")]
    titles = [line for line in lines if re.match(r"^ = [^=].* = \n$", line)]
    assert 28 <= len(titles) <= 34
    assert all(line == "" or (line.startswith(" ") and line.endswith(" \n")) for line in lines)
    assert "" in lines
    assert any(re.match(r"^ = = [^=].* = = \n$", line) for line in lines)


def test_sentiment_repeats_its_rows_as_the_hub_does():
    """Tweets twice, the phrase bank and FiQA parts three and four times, the graded part once."""
    rows = table("FinGPT/fingpt-sentiment-train", None, "train")
    times = Counter((row["input"], row["instruction"]) for row in rows)
    by_instruction = {}
    for (_, instruction), count in times.items():
        kind = "tweet" if "tweet" in instruction else "graded" if "strong" in instruction else "news"
        by_instruction.setdefault(kind, set()).add(count)
    assert by_instruction == {"tweet": {2}, "news": {3, 4}, "graded": {1}}
    tweets = {row["text"] for row in table("zeroshot/twitter-financial-news-sentiment", None, "train")}
    assert {row["input"] for row in rows if "tweet" in row["instruction"]} == tweets


def test_one_config_may_be_named_or_not():
    for hub, config in (
        ("stanfordnlp/imdb", "plain_text"), ("openai/gsm8k", "main"), ("TIGER-Lab/MMLU-Pro", "default"),
        ("openai/openai_humaneval", "openai_humaneval"), ("Skylion007/openwebtext", "plain_text"),
    ):  # fmt: skip
        split = next(key[2] for key in tables() if key[0] == hub)
        assert table(hub, config, split) == table(hub, None, split)


@pytest.mark.parametrize(
    "key",
    [
        ("nobody/nothing", None, "train"), ("stanfordnlp/imdb", None, "unsupervised"), ("nyu-mll/glue", None, "train"),
        ("nyu-mll/glue", "rte", "train"), ("stanfordnlp/imdb", "other", "test"), ("Salesforce/wikitext", None, "test"),
        ("FinGPT/fingpt-sentiment-train", "phrase-bank", "train"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_there_is_missed_with_what_there_is(key):
    with pytest.raises(SourceMissing, match=re.escape(key[0])) as caught:
        table(*key)
    assert "\n" not in str(caught.value)


def test_callers_may_change_what_they_get():
    key = ("TIGER-Lab/MMLU-Pro", None, "test")
    before = json.dumps(table(*key))
    for row in table(*key):
        row["options"].clear()
        row["question"] = ""
    assert json.dumps(table(*key)) == before


def test_the_tables_are_those_that_were_pinned():
    assert digests() == GOLDEN


def test_the_tables_do_not_depend_on_the_order_of_sets():
    path = os.pathsep.join([str(ROOT), *sys.path])
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": path}
    command = [sys.executable, "-m", "tests.support.miniature_texts"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == GOLDEN
