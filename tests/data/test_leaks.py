"""No test item is trained on, whatever the forms and groups of either side; what only shares the template stays.

Test texts are planted in training rows of another source, in every disguise; both sides' forms and groups are drawn.
The oracle is the planting itself: which rows hold a test text is known, no search tells it.
"""

from __future__ import annotations

import random
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.data.cleaning import Drops
from regimen.data.items import build_items, test_texts
from regimen.data.overlap import TestText, TestTexts
from regimen.data.prepare import Preparation, prepare, trainable_rows
from regimen.data.sources import Where
from regimen.data.tokenizer import TextTokenizer
from regimen.errors import DataError
from regimen.study.schema import Batch, LegKind
from regimen.study.sources import Source
from regimen.study.tasks import Task
from tests.support.row_files import write
from tests.support.tokenizers import save_byte_tokenizer

WORDS = [
    f"{a}{b}" for a in ("mar", "fön", "tel", "gru", "pas", "niç") for b in ("ket", "dé", "ling", "ster", "ion", "vel")
]

GROUPS = (None, "{{ customer }}", "{{ body }}", "{{ nothing }}", "{{ customer }}-{{ day }}")
WRAPPED = [
    "{{ body }}\nQuestion: Is this urgent, or may it wait until next week at the latest?\nAnswer:",
    "Below is a message of a customer. Read it with care and then answer the question.\n\n{{ body | trim }}\n\nUrgent:",
    "{% if title %}{{ title }}\n{% endif %}{{ 'The customer writes the following to us: ' ~ body }}\nUrgent:",
    "<|im_start|>system\nYou are a helpful assistant of a shop.<|im_end|>\n<|im_start|>user\n{{ body }}<|im_end|>\n",
]
READ = [
    {"text": "{{ text }}"},
    {"text": "An entry of the archive, kept for seven years by the rules of the house:\n{{ text | trim }}"},
    {
        "prompt": "{{ text }}\nQuestion: Is this urgent, or may it wait until next week?\nAnswer:",
        "answer": "{{ said }}",
    },
    {"prompt": "{{ head }}\n{{ text }}\nAnswer:", "label": {"column": "urgent", "names": ["no", "yes"]}},
    {"prompt": "Continue the archive where it was left:", "answer": "{{ text }}"},
]


def another_case(text: str, rng: random.Random) -> str:
    return rng.choice([text.upper(), text.title(), text.swapcase()])


def one_word_changed(text: str, rng: random.Random) -> str:
    words = text.split()
    words[rng.randrange(len(words))] = "otherwise"
    return " ".join(words)


def invisible(text: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(text))
    return text[:at] + rng.choice("\u200b\u200d\ufeff\u00ad") + text[at:]


DISGUISES: dict[str, Callable[[str, random.Random], str]] = {
    "verbatim": lambda text, rng: text,
    "inside": lambda text, rng: f"He wrote again: {text} And that was all of it.",
    "one word": one_word_changed,
    "case": another_case,
    "NFC": lambda text, rng: unicodedata.normalize("NFC", text),
    "NFD": lambda text, rng: unicodedata.normalize("NFD", text),
    "invisible": invisible,
    "punctuation": lambda text, rng: text.replace(" ", ", ", 2) + "!",
    "blanks": lambda text, rng: text.replace(" ", "\n", 3) + "  ",
}


def kept_rows(
    asked: dict[str, Any], read: dict[str, Any], tests: list[dict[str, Any]], rows: list[dict[str, Any]], **more: Any
) -> set[int]:
    """The numbers of the rows of `rows`, read by `read`, that are left when `tests`, asked by `asked`, are kept out."""
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        write(here / "tests.jsonl", tests)
        write(here / "rows.jsonl", rows)
        label = {"column": "urgent", "names": ["no", "yes"]}
        form = {"label": label, **asked} if "answer" not in asked else asked
        held_out = {"files": ["tests.jsonl"]}
        tickets = Source.model_validate({"files": ["rows.jsonl"], "form": form, "held_out": held_out})
        shared = {"title": "T", "group": "g", "source": ("tickets",)}
        task = Task.model_validate({**shared, "scoring": "choice", "metrics": ("accuracy",)})
        if "answer" in asked:
            open_answer = {"scoring": "generation", "metrics": ("exact-match",), "generation": {"tokens": 4}}
            task = Task.model_validate({**shared, **open_answer})
        items = build_items(task, {"tickets": tickets}, None, 1, Where(here=here), Drops())
        archive = Source.model_validate({"files": ["rows.jsonl"], "form": read, **more})
        kind: LegKind = "pretrain" if archive.form.prompt is None else "finetune"
        found = TestTexts(test_texts("urgency", items))
        batches = trainable_rows("archive", archive, kind, Where(here=here), found, Drops())
        return {row.number for batch in batches for row in batch}


@st.composite
def planted(
    draw: st.DrawFn,
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], list[dict[str, Any]], set[int]]:
    """Both forms, test rows, training rows, and which of these hold a test text."""
    rng = random.Random(draw(st.integers(0, 2**32)))

    def sentence() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(10, 30)))

    asked = {"prompt": draw(st.sampled_from(WRAPPED)), "group": draw(st.sampled_from(GROUPS))}
    read = {**draw(st.sampled_from(READ)), "group": draw(st.sampled_from(("{{ customer }}", "{{ text }}", None)))}
    tests = [
        {"body": unicodedata.normalize(rng.choice(["NFC", "NFD"]), sentence()), "urgent": n % 2, "title": "",
         "customer": f"c{n % 3}", "nothing": None, "day": n}
        for n in range(rng.randint(1, 12))
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    holding: set[int] = set()
    for number in range(rng.randint(4, 16)):
        text = sentence()
        if rng.random() < 0.5 or number == 0:
            disguise = draw(st.sampled_from(sorted(DISGUISES)))
            text = DISGUISES[disguise](rng.choice(tests)["body"], rng)
            holding.add(number)
        rows.append({"text": text, "said": rng.choice(["yes", "no"]), "head": f"Ticket {number}",
                     "urgent": number % 2, "customer": f"c{number % 3}"})  # fmt: skip
    rows.append({"text": sentence(), "said": "no", "head": "last", "urgent": 0, "customer": "c9"})
    return asked, read, tests, rows, holding


@given(planted())
@settings(max_examples=150, deadline=None)
def test_planted_test_texts_are_found_in_any_form_and_group_and_nothing_else_is(
    case: tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], list[dict[str, Any]], set[int]],
) -> None:
    asked, read, tests, rows, holding = case
    kept = kept_rows(asked, read, tests, rows)
    duplicates = {n for n, row in enumerate(rows) if row["text"].split() in [r["text"].split() for r in rows[:n]]}
    assert not kept & holding
    assert set(range(len(rows))) - holding - duplicates <= kept


SHORT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True).map(" ".join)


@given(st.sampled_from(WRAPPED), st.sets(SHORT, min_size=8, max_size=20), st.sampled_from(GROUPS))
@settings(max_examples=60, deadline=None)
def test_rows_that_share_only_the_templates_words_stay(prompt: str, texts: set[str], group: str | None) -> None:
    """Short values in a long template, the same on both sides: no row is a test item but by its own words."""
    all_texts = sorted(texts)
    tests = [{"body": t, "urgent": 0, "customer": "c", "title": "", "nothing": None, "day": 1} for t in all_texts[::2]]
    rows = [{**tests[0], "body": t} for t in all_texts[1::2]]
    read = {"prompt": prompt, "label": {"column": "urgent", "names": ["no", "yes"]}}
    inside = {
        n for n, r in enumerate(rows) if any(len(t["body"].split()) > 2 and t["body"] in r["body"] for t in tests)
    }
    assert kept_rows({"prompt": prompt, "group": group}, read, tests, rows) == set(range(len(rows))) - inside


@pytest.mark.parametrize("value", ["yes", "7", "good", "very good", "?", "$x$"])
def test_a_very_short_value_is_no_test_text_in_another_source(value: str) -> None:
    tests = [{"body": value, "urgent": 1}, {"body": "quite another text", "urgent": 0}]
    rows = [{"text": f"the {value} of it"}, {"text": value}, {"text": f"{value} {value}"}]
    assert kept_rows({"prompt": "{{ body }}\nAnswer:"}, {"text": "{{ text }}"}, tests, rows) == {0, 1, 2}


CONTEXT = "The house was built in the spring of that year by two brothers who had come from the coast with their tools."
ASKED = "Who built the house that stands at the end of the road to the mill?"


def test_every_long_value_of_a_prompt_is_looked_for_in_any_order() -> None:
    tests = [{"context": CONTEXT, "question": ASKED, "urgent": 0}]
    rows = [
        {"text": f"Read: {CONTEXT} So it was."},
        {"text": f"He asked: {ASKED}"},
        {"text": f"{ASKED} Read first: {CONTEXT}"},
        {"text": "The house was sold."},
    ]
    prompt = "{{ context }}\nQuestion: {{ question }}\nAnswer:"
    assert kept_rows({"prompt": prompt}, {"text": "{{ text }}"}, tests, rows) == {3}


def test_a_long_answer_is_looked_for_and_a_short_one_is_not() -> None:
    solution = (
        "We add the apples of one basket to those of the other, then take away what was eaten, and so there are nine."
    )
    tests = [
        {"q": "How many are left?", "a": solution, "urgent": 0},
        {"q": "And of these?", "a": "nine of them", "urgent": 0},
    ]
    rows = [{"text": f"Solution: {solution}"}, {"text": "there were nine of them in all"}]
    asked = {"prompt": "{{ q }}\nA:", "answer": "{{ a }}", "label": None}
    assert kept_rows(asked, {"text": "{{ text }}"}, tests, rows) == {1}


def test_what_all_items_share_is_no_items_own() -> None:
    order = "Read the following message of a customer with care and say whether it is urgent or may wait."
    tests = [{"order": order, "body": f"message of {word}", "urgent": 0} for word in WORDS[:9]]
    rows = [{"order": order, "body": f"quite another {word}", "urgent": 1} for word in WORDS[9:18]]
    rows += [{"order": order, "body": tests[4]["body"], "urgent": 1}]
    form = {"prompt": "{{ order }}\n{{ body }}\nAnswer:", "label": {"column": "urgent", "names": ["no", "yes"]}}
    assert kept_rows(form, form, tests, rows) == set(range(9))


ANOTHER_TEXT = [
    ("What is the total price of 2 lamps at 3 crowns each?", "What is the total price of 2 lamps at 4 crowns each?"),
    ("The bill was paid in full by the end of May", "The bill was not paid in full by the end of May"),
    ("Solve the equation 3 * x + 4 = 10 for x now", "Solve the equation 3 * x - 4 = 10 for x now"),
    ("Derive $a^2$ with respect to $a$ and say what is left", "Derive $b^2$ with respect to $b$ and say what is left"),
    ("3 + 4", "3 - 4"),
    ("see https://example.org/a/1", "see https://example.org/a/2"),
    ("https://example.org/a/1", "https://example.org/a/2"),
    ("用三个苹果加两个苹果是多少个苹果", "用三个苹果不加两个苹果是多少个苹果"),
]  # fmt: skip


@pytest.mark.parametrize(("test", "row"), ANOTHER_TEXT)
def test_another_number_negation_operator_or_address_is_another_text(test: str, row: str) -> None:
    form = {"prompt": "{{ body }}\nAnswer:"}
    read = {"prompt": "{{ body }}\nAnswer:", "label": {"column": "urgent", "names": ["no", "yes"]}}
    rows = [{"body": row, "urgent": 0}, {"body": test, "urgent": 1}, {"body": "more", "urgent": 0}]
    assert {0, 2} <= kept_rows(form, read, [{"body": test, "urgent": 0}], rows)


def test_chinese_texts_are_found_inside_longer_ones() -> None:
    test = "我非常喜欢昨天晚上看的那部电影的结尾"
    rows = [{"text": f"他说:{test},是吗"}, {"text": test.replace("电影", "电视")}, {"text": "我喜欢别的东西和别的电影"}]
    assert kept_rows({"prompt": "{{ body }}"}, {"text": "{{ text }}"}, [{"body": test, "urgent": 0}], rows) == {2}


def test_a_source_says_how_test_items_are_looked_for() -> None:
    test = {"body": " ".join(WORDS[:12]), "urgent": 0}
    changed = " ".join(["otherwise", *WORDS[1:12]])
    rows = [{"text": test["body"]}, {"text": changed}, {"text": "something else"}]
    left = {
        way: kept_rows({"prompt": "{{ body }}"}, READ[0], [test], rows, leaks=way) for way in ("near", "exact", "off")
    }
    assert left == {"near": {2}, "exact": {1, 2}, "off": {0, 1, 2}}


def test_a_group_that_is_tested_on_leaves_its_own_source_and_no_other(tmp_path: Path) -> None:
    write(
        tmp_path / "test.jsonl",
        [{"body": "one thing", "urgent": 0, "who": "Ann"}, {"body": "b", "urgent": 0, "who": None}],
    )
    write(
        tmp_path / "train.jsonl",
        [{"body": f"text {n}", "urgent": 0, "who": who} for n, who in enumerate(["ann", "Bob", None])],
    )
    form = {"prompt": "{{ body }}", "label": {"column": "urgent", "names": ["no", "yes"]}, "group": "{{ who }}"}
    source = Source.model_validate({"files": ["train.jsonl"], "form": form, "held_out": {"files": ["test.jsonl"]}})
    task = Task(title="T", group="g", source=("it",), scoring="choice", metrics=("accuracy",))
    items = build_items(task, {"it": source}, None, 1, Where(here=tmp_path), Drops())
    left = {}
    for name in ("it", "other"):
        drops = Drops()
        tests = TestTexts(test_texts("t", items))
        batches = trainable_rows(name, source, "finetune", Where(here=tmp_path), tests, drops)
        left[name] = [row.number for batch in batches for row in batch], drops.counts
    assert left == {"it": ([1, 2], {"of a group that is tested on in t": 1}), "other": ([0, 1, 2], {})}


def test_a_source_that_loses_all_rows_says_why_and_how_to_switch_it(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", [{"text": " ".join(WORDS[n : n + 12])} for n in range(3)])
    source = Source.model_validate({"files": ["rows.jsonl"], "form": READ[0]})
    tests = TestTexts(TestText("exam", str(n), " ".join(WORDS[n : n + 12])) for n in range(3))
    work = Preparation("s", source, "pretrain", Batch(sequences=2, block=64), 1, tests)
    tokenizer = TextTokenizer(save_byte_tokenizer(tmp_path / "tokenizer"))
    with pytest.raises(DataError) as caught:
        prepare(work, tokenizer, Where(here=tmp_path), tmp_path / "cache", Drops())
    assert str(caught.value) == (
        "source 's': no block of 64 tokens could be filled: 3 of its 3 rows are dropped (test item of exam); "
        "`leaks: exact` drops only rows with the test text itself, `leaks: off` none"
    )
