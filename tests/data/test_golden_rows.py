"""One row of every source, in the Hub's columns and written for this test, and what becomes of it, word for word.

What a model is trained on and asked is decided here: whoever changes a form sees in this file what he changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regimen.data.cleaning import Drops
from regimen.data.forms import render_text
from regimen.data.rows import usable_rows
from regimen.data.sources import Where
from regimen.study import load_study
from tests.support.row_files import write
from tests.support.studies import with_fields

SOURCES = load_study("qwen2-finance").sources


@dataclass(frozen=True)
class Golden:
    """Rows as they are on the Hub; the prompt and answer (with its joining blank) of the first, or its text."""

    rows: list[dict[str, Any]]
    prompt: str = ""
    answer: str = ""
    text: str = ""
    choices: tuple[str, ...] = ()


GOLDEN = {
    "openwebtext": Golden(
        [{"text": "\nThe bridge opened on Monday.\n\nNobody crossed it.  "}],
        text="The bridge opened on Monday.\n\nNobody crossed it.",
    ),
    "wikitext": Golden(
        [{"text": line} for line in (
            "", " = Salt = \n", "", " Salt is a mineral @-@ like crystal . \n", " = = Uses = = \n",
            " It preserves . \n", " = Pepper = \n", " Pepper is not . \n",
        )],
        text="= Salt = \n Salt is a mineral @-@ like crystal . \n = = Uses = = \n It preserves .",
    ),
    "bookcorpus": Golden(
        [{"text": "the door was open ."}, {"text": "`` who is there ? '' he asked ."}],
        text="the door was open . `` who is there ? '' he asked .",
    ),
    "financial-qa": Golden(
        [{"question": "What did sales do? ", "answer": "Sales rose by 3%.", "context": "In 2023 sales rose by 3%.",
          "ticker": "ACME", "filing": "2023_10K"}],
        "In 2023 sales rose by 3%.\nQuestion: What did sales do?\nAnswer:",
        " Sales rose by 3%.",
    ),
    "fingpt-sentiment": Golden(
        [{"input": "Orders fell sharply .", "output": "moderately negative", "instruction":
          "What is the sentiment of this news? Please choose an answer from {negative/neutral/positive}."}],
        "Orders fell sharply .\nQuestion: Is the sentiment of this financial news negative, neutral or positive?\n"
        "Answer:",
        " negative",
        choices=(" negative", " neutral", " positive"),
    ),
    "finance-alpaca": Golden(
        [{"text": "", "instruction": "What is a bond?", "input": "", "output": "A loan that can be sold."}],
        "Question: What is a bond?\nAnswer:",
        " A loan that can be sold.",
    ),
    "fiqa": Golden(
        [{"input": "Is rent a cost?", "output": "It is.", "instruction": "Answer the question."}],
        "Question: Is rent a cost?\nAnswer:",
        " It is.",
    ),
    "twitter-sentiment": Golden(
        [{"text": "$ACME - Acme cut to sell https://t.co/abc", "label": 0}],
        "$ACME - Acme cut to sell https://t.co/abc\nQuestion: Is this tweet bearish, bullish or neutral?\nAnswer:",
        " bearish",
        choices=(" bearish", " bullish", " neutral"),
    ),
    "twitter-topic": Golden(
        [{"text": "Acme raises its dividend", "label": 4}],
        "Acme raises its dividend\nQuestion: What is the topic of this tweet?\nAnswer:",
        " Dividend",
    ),
    "convfinqa": Golden(
        [{"input": "debt grew .\n<table class='wikitable'><tr><td>1</td><td>year</td><td>debt</td></tr><tr><td>2</td>"
          "<td>2017</td><td>30.5</td></tr></table>\nQuestion: what was the debt in 2017?\nAnswer:", "output": "30.5",
          "instruction": "Read the following texts and table."}],
        "debt grew .\n1 | year | debt\n2 | 2017 | 30.5\nQuestion: what was the debt in 2017?\nAnswer:",
        " 30.5",
    ),
    "fingpt-ner": Golden(
        [{"input": "ACME INC . of Bonn", "output": "ACME INC is an organization, Bonn is a location.", "instruction":
          "Please extract entities and their types from the input sentence."}],
        "ACME INC . of Bonn\nQuestion: Which persons, organizations and locations are named?\nAnswer:",
        " ACME INC is an organization, Bonn is a location.",
    ),
    "imdb": Golden(
        [{"text": "Dull.<br /><br />I slept. ", "label": 0}],
        "Dull.  I slept.\nQuestion: Is this review negative or positive?\nAnswer:",
        " negative",
        choices=(" negative", " positive"),
    ),
    "glue-sst2": Golden(
        [{"sentence": "warm and wise ", "label": 1, "idx": 7}],
        "warm and wise\nQuestion: Is this sentence positive or negative?\nAnswer:",
        " positive",
        choices=(" negative", " positive"),
    ),
    "glue-cola": Golden(
        [{"sentence": "The cat sat the mat.", "label": 0, "idx": 1}],
        "The cat sat the mat.\nQuestion: Does this sentence make sense?\nAnswer:",
        " no",
        choices=(" no", " yes"),
    ),
    "glue-mrpc": Golden(
        [{"sentence1": "He left on Monday .", "sentence2": "On Monday he left .", "label": 1, "idx": 3}],
        "Sentence 1: He left on Monday .\nSentence 2: On Monday he left .\n"
        "Question: Do both sentences mean the same thing?\nAnswer:",
        " yes",
        choices=(" no", " yes"),
    ),
    "glue-mnli": Golden(
        [{"premise": "It rains.", "hypothesis": "It is dry.", "label": 2, "idx": 0}],
        "It rains.\nQuestion: It is dry. True, False or Neither?\nAnswer:",
        " False",
        choices=(" True", " Neither", " False"),
    ),
    "gsm8k": Golden(
        [{"question": "Two pens cost 4. What does one cost?", "answer": "4 / 2 = <<4/2=2>>2\n#### 2"}],
        "Question: Two pens cost 4. What does one cost?\nAnswer:",
        " 4 / 2 = 2\n#### 2",
    ),
    "deepmind-math": Golden(
        [{"question": "b'Solve 3*k = 12 for k.\\n'", "answer": "b'4\\n'"}],
        "Question: Solve 3*k = 12 for k.\nAnswer:",
        " 4",
    ),
    "bigcodebench": Golden(
        [{"task_id": "BigCodeBench/0", "complete_prompt": 'import math\n\ndef task_func(x):\n    """Root of x."""\n',
          "instruct_prompt": "Root of x.", "canonical_solution": "    return math.sqrt(x)", "code_prompt":
          "import math\n\ndef task_func(x):\n", "test": "class TestCases: ...", "entry_point": "task_func",
          "doc_struct": "{}", "libs": "['math']"}],
        'import math\n\ndef task_func(x):\n    """Root of x."""\n',
        "    return math.sqrt(x)",
    ),
    "humaneval": Golden(
        [{"task_id": "HumanEval/0", "prompt": 'def twice(x):\n    """ Twice x. """\n', "canonical_solution":
          "    return 2 * x\n", "test": "def check(candidate): assert candidate(2) == 4", "entry_point": "twice"}],
        'def twice(x):\n    """ Twice x. """\n',
        "    return 2 * x\n",
    ),
    "mmlu-pro": Golden(
        [{"question_id": 1, "question": "Which is a metal? ", "options": ["air", "iron", "wood", "water"],
          "answer": "B", "answer_index": 1, "cot_content": "", "category": "chemistry", "src": "made"}],
        "Question: Which is a metal?\nA. air\nB. iron\nC. wood\nD. water\nAnswer:",
        " B",
        choices=(" A", " B", " C", " D"),
    ),
    "alpaca": Golden(
        [{"instruction": "Name the largest.", "input": "2, 9, 4", "output": "9", "text": "Below is ..."}],
        "2, 9, 4\nQuestion: Name the largest.\nAnswer:",
        " 9",
    ),
}  # fmt: skip


def test_every_source_has_its_golden_row() -> None:
    assert set(GOLDEN) == set(SOURCES)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_row_becomes_these_words(name: str, tmp_path: Path) -> None:
    """Read as from a mirror, through the whole way of a row and not the form alone."""
    golden, source = GOLDEN[name], with_fields(SOURCES[name], held_out=None)
    config = next(config for config in source.configs)
    folder = tmp_path / str(source.hub) / (config or "")
    split = source.split or "train"
    source = with_fields(source, config=config, split=split)
    write(folder / f"{split}.jsonl", golden.rows)
    first = next(iter(usable_rows(name, source, "train", Where(data=tmp_path), Drops())))
    if golden.text:
        assert first.rendered is None
        assert first.text == render_text(source.form, first.values) == golden.text
        return
    assert first.rendered is not None
    assert (first.rendered.prompt, first.rendered.answer) == (golden.prompt, golden.answer)
    assert render_text(source.form, first.values) == golden.prompt + golden.answer == first.text
    if golden.choices:
        assert first.rendered.choices == golden.choices
        assert first.rendered.choices[first.rendered.target] == golden.answer
