"""What the miniature's tests share: which columns hold text, the splits that are held out, and how words are cut."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from regimen.data.miniature import table, tables

Key = tuple[str, str | None, str]

COLUMNS: dict[str, tuple[str, ...]] = {
    "Skylion007/openwebtext": ("text",),
    "Salesforce/wikitext": ("text",),
    "bookcorpus/bookcorpus": ("text",),
    "virattt/financial-qa-10K": ("question", "answer", "context", "ticker", "filing"),
    "FinGPT/fingpt-sentiment-train": ("input", "output", "instruction"),
    "gbharti/finance-alpaca": ("text", "instruction", "input", "output"),
    "FinGPT/fingpt-fiqa_qa": ("input", "output", "instruction"),
    "zeroshot/twitter-financial-news-sentiment": ("text", "label"),
    "zeroshot/twitter-financial-news-topic": ("text", "label"),
    "FinGPT/fingpt-convfinqa": ("input", "output", "instruction"),
    "FinGPT/fingpt-ner": ("input", "output", "instruction"),
    "stanfordnlp/imdb": ("text", "label"),
    "nyu-mll/glue sst2": ("sentence", "label", "idx"),
    "nyu-mll/glue cola": ("sentence", "label", "idx"),
    "nyu-mll/glue mrpc": ("sentence1", "sentence2", "label", "idx"),
    "nyu-mll/glue mnli": ("premise", "hypothesis", "label", "idx"),
    "openai/gsm8k": ("question", "answer"),
    "deepmind/math_dataset": ("question", "answer"),
    "bigcode/bigcodebench": (
        "task_id", "complete_prompt", "instruct_prompt", "canonical_solution", "code_prompt", "test", "entry_point",
        "doc_struct", "libs",
    ),
    "openai/openai_humaneval": ("task_id", "prompt", "canonical_solution", "test", "entry_point"),
    "TIGER-Lab/MMLU-Pro": (
        "question_id", "question", "options", "answer", "answer_index", "cot_content", "category", "src",
    ),
    "tatsu-lab/alpaca": ("instruction", "input", "output", "text"),
}  # fmt: skip
"""The Hub's columns, by data set (and config, where the configs of a data set differ)."""

GIVEN: dict[str, tuple[str, ...]] = {
    "virattt/financial-qa-10K": ("context",),
    "FinGPT/fingpt-sentiment-train": ("input",),
    "gbharti/finance-alpaca": ("instruction",),
    "FinGPT/fingpt-fiqa_qa": ("input",),
    "FinGPT/fingpt-convfinqa": ("input",),
    "FinGPT/fingpt-ner": ("input",),
    "nyu-mll/glue mrpc": ("sentence1", "sentence2"),
    "nyu-mll/glue mnli": ("premise", "hypothesis"),
    "nyu-mll/glue sst2": ("sentence",),
    "nyu-mll/glue cola": ("sentence",),
    "bigcode/bigcodebench": ("complete_prompt",),
    "openai/openai_humaneval": ("prompt",),
    "openai/gsm8k": ("question",),
    "deepmind/math_dataset": ("question",),
    "TIGER-Lab/MMLU-Pro": ("question",),
    "tatsu-lab/alpaca": ("instruction", "input"),
}
"""The columns that a model is given, where they are not `text`: what must not be in a training and a test split."""

ONE_SPLIT = (
    "virattt/financial-qa-10K", "FinGPT/fingpt-sentiment-train", "gbharti/finance-alpaca", "FinGPT/fingpt-fiqa_qa",
)  # fmt: skip
"""Data sets of which a part is held out later, by text."""


def named(key: Key) -> str:
    """The data set, with its config where the configs differ in columns."""
    return f"{key[0]} {key[1]}" if key[0] == "nyu-mll/glue" else key[0]


def given(key: Key) -> list[tuple[str, ...]]:
    """The texts of each row that a model is given, blank ones left out."""
    names = GIVEN.get(named(key), ("text",))
    return [tuple(row[name] for name in names if row[name].strip()) for row in table(*key)]


def held_out_keys() -> list[Key]:
    return [key for key in tables() if key[2].startswith(("test", "validation"))]


def training_keys() -> list[Key]:
    return [key for key in tables() if key not in held_out_keys()]


def normalised(text: str) -> str:
    """Casefolded, without URLs and $tickers, blanks collapsed."""
    return " ".join(re.sub(r"https?://\S+|\$[a-z]{1,6}\b", " ", text.casefold()).split())


def strings(value: Any) -> Iterator[str]:
    """The texts inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def digests() -> dict[str, str]:
    """For each table, the head of the SHA-256 of its rows as JSON."""
    found = {}
    for key in tables():
        dump = json.dumps(table(*key), ensure_ascii=False).encode()
        found["/".join(part for part in key if part)] = sha256(dump).hexdigest()[:16]
    return found


if __name__ == "__main__":
    print(json.dumps(digests()))
