"""Rendering rows: the same bytes in training and evaluation, and a clear word where a row does not fit."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.data.classes import class_of
from regimen.data.forms import group_of, render, render_text
from regimen.data.row_fault import RowFault
from regimen.study import load_study
from regimen.study.sources import Form, Label

SOURCES = load_study("qwen2-finance").sources


def rendered(name: str, row: dict[str, Any]) -> tuple[str, str]:
    result = render(SOURCES[name].form, row)
    return result.prompt, result.answer


def test_sst2_reads_as_in_lm_evaluation_harness() -> None:
    # lm-eval 0.4.13, tasks/glue/sst2: "{{sentence}}\nQuestion: Is this sentence positive or negative?\nAnswer:"
    prompt, answer = rendered("glue-sst2", {"sentence": "one long string of cliches . ", "label": 0, "idx": 0})
    assert prompt == "one long string of cliches .\nQuestion: Is this sentence positive or negative?\nAnswer:"
    assert answer == " negative"


@pytest.mark.parametrize(
    ("name", "row", "prompt_end", "answer"),
    [
        (
            "fingpt-sentiment",
            {"input": "Profit rose.", "output": "mildly positive", "instruction": "ignored"},
            "Profit rose.\nQuestion: Is the sentiment of this financial news negative, neutral or positive?\nAnswer:",
            " positive",
        ),
        ("twitter-topic", {"text": "$X", "label": 19}, "What is the topic of this tweet?\nAnswer:", " Stock Movement"),
        ("gsm8k", {"question": "2+2?", "answer": "2+2 = <<2+2=4>>4\n#### 4"}, "2+2?\nAnswer:", " 2+2 = 4\n#### 4"),
        ("convfinqa", {"input": "Debt.\nQuestion: how much?\nAnswer:", "output": "3.0"}, "how much?\nAnswer:", " 3.0"),
        ("imdb", {"text": "Bad.<br /><br />Very bad.", "label": 0}, "Bad.  Very bad.\nQuestion: Is this review "
         "negative or positive?\nAnswer:", " negative"),
        ("glue-mnli", {"premise": "A.", "hypothesis": "B.", "label": 1, "idx": 0}, "A.\nQuestion: B. True, False or "
         "Neither?\nAnswer:", " Neither"),
        ("deepmind-math", {"question": "b'Solve 2*x = 4 for x.\\n'", "answer": "b'2\\n'"},
         "Question: Solve 2*x = 4 for x.\nAnswer:", " 2"),
        ("humaneval", {"prompt": "def f(x):\n", "canonical_solution": "    return x\n", "task_id": "0"},
         "def f(x):\n", "    return x\n"),
        ("finance-alpaca", {"instruction": "Why?", "input": "", "output": "Because.", "text": ""},
         "Question: Why?\nAnswer:", " Because."),
        ("finance-alpaca", {"instruction": "Why?", "input": "Given.", "output": "So.", "text": ""},
         "Given.\nQuestion: Why?\nAnswer:", " So."),
    ],
)  # fmt: skip
def test_every_kind_of_row_by_hand(name: str, row: dict[str, Any], prompt_end: str, answer: str) -> None:
    prompt, said = rendered(name, row)
    assert prompt.endswith(prompt_end)
    assert said == answer
    assert not prompt.endswith(" ")


def test_options_of_any_number() -> None:
    row = {"question": "Which?", "options": ["one", "two", "three"], "answer": "B"}
    result = render(SOURCES["mmlu-pro"].form, row)
    assert result.prompt == "Question: Which?\nA. one\nB. two\nC. three\nAnswer:"
    assert (result.choices, result.target, result.answer) == ((" A", " B", " C"), 1, " B")
    with pytest.raises(RowFault, match="is none of the options A, B, C"):
        render(SOURCES["mmlu-pro"].form, row | {"answer": "D"})


def test_pretraining_reads_the_same_row_as_plain_text() -> None:
    row = {"text": "$BYND falls", "label": 0}
    form = SOURCES["twitter-sentiment"].form
    result = render(form, row)
    assert (
        render_text(form, row)
        == result.prompt + result.answer
        == ("$BYND falls\nQuestion: Is this tweet bearish, bullish or neutral?\nAnswer: bearish")
    )


BINNED = Label(column="score", names=("low", "mid", "high"), bins=(-0.3, 0.3))


@given(st.floats(-1, 1))
@settings(max_examples=60, deadline=None)
def test_scores_fall_into_bins(score: float) -> None:
    expected = 0 if score < -0.3 else 1 if score < 0.3 else 2
    assert class_of(BINNED, {"score": score}) == expected


@pytest.mark.parametrize(
    ("label", "row", "says"),
    [
        (Label(column="label", names=("a", "b")), {"label": 2}, "'2' is not a class id from 0 to 1"),
        (Label(column="label", names=("a", "b")), {"label": -1}, "'-1' is not a class id from 0 to 1"),
        (Label(column="label", names=("a", "b")), {"label": "c"}, "'c' is not a class id from 0 to 1 and none of a, b"),
        (Label(column="label", names=("a", "b")), {"label": "A"}, "'A' is not a class id from 0 to 1 and none of a, b"),
        (Label(column="label", names=("a", "b")), {"label": 0.5}, "'0.5' is not a class id"),
        (Label(column="label", names=("a", "b")), {"label": float("nan")}, "'nan' is not a class id"),
        (Label(column="label", names=("a", "b")), {"label": None}, "'None' is not a class id from 0 to 1"),
        (Label(column="label", names={"0": "a", "1": "b"}), {"label": None}, "'None' is none of 0, 1"),
        (Label(column="label", names=("1", "2", "3")), {"label": 0}, "'0' is none of 1, 2, 3 .they are numbers"),
        (Label(column="label", names=("a", "b")), {"lable": 1}, "the label's column is missing"),
        (Label(column="out", names={"x": "a", "y": "b"}), {"out": "z"}, "'z' is none of x, y"),
        (BINNED, {"score": "half"}, "is not a number to put into bins"),
        (BINNED, {"score": float("nan")}, "is not a number to put into bins"),
        (BINNED, {"score": float("inf")}, "is not a number to put into bins"),
        (BINNED, {"score": True}, "is not a number to put into bins"),
    ],
)
def test_a_label_out_of_range_is_named(label: Label, row: dict[str, Any], says: str) -> None:
    with pytest.raises(RowFault, match=says) as caught:
        class_of(label, row)
    assert caught.value.drop is None, "a wrong label is an error, not a drop"


FORM = Form(prompt="{{ q }}", answer="{{ a }}")


@pytest.mark.parametrize(
    ("row", "drop"),
    [
        ({"q": "x", "a": "  "}, "empty"),
        ({"q": "x", "a": "nul \x00 inside"}, "NUL character"),
        ({"q": "x" * 1_000_001, "a": "y"}, "too long"),
        ({"q": "x", "a": None}, "empty"),
        ({"q": "x"}, None),
        ({"q": "x", "a": {"text": "y"}}, None),
        ({"q": ["x"], "a": "y"}, None),
    ],
)
def test_row_faults_say_whether_they_drop(row: dict[str, Any], drop: str | None) -> None:
    with pytest.raises(RowFault) as caught:
        render(FORM, row)
    assert caught.value.drop == drop


def test_a_template_that_does_not_fit_the_column_is_a_row_fault() -> None:
    with pytest.raises(RowFault, match="does not fit the template"):
        render(Form(prompt="{{ q.split('x')[5] }}", answer="{{ a }}"), {"q": "y", "a": "z"})
    with pytest.raises(RowFault, match="does not fit the template"):
        render(Form(prompt="{{ q | trim + 1 }}", answer="{{ a }}"), {"q": 5, "a": "z"})


def test_a_missing_value_never_becomes_the_word_none() -> None:
    form = Form(prompt="{% if extra %}{{ extra | trim }}\n{% endif %}{{ q | trim }}", answer="{{ a | trim }}")
    assert render(form, {"q": "x", "extra": None, "a": "y"}).prompt == "x"
    with pytest.raises(RowFault, match="empty"):
        render(form, {"q": "x", "extra": "", "a": None})


def test_a_group_is_what_the_form_says() -> None:
    assert group_of(SOURCES["financial-qa"].form, {"context": "C", "question": "Q", "answer": "A"}) == "C"
    assert group_of(FORM, {"q": "x", "a": "y"}) == "x"


def test_a_list_of_right_answers_trains_the_first_and_accepts_all() -> None:
    form = Form(prompt="{{ q }}", answer="{{ a.text }}")
    rendered = render(form, {"q": "x", "a": {"text": ["Paris", "", "in Paris", "Paris", 7]}})
    assert (rendered.answer, rendered.others) == (" Paris", ("in Paris", "7"))
    assert render(Form(prompt="{{ q }}", answer="{{ a }}"), {"q": "x", "a": ["one"]}).others == ()
    with pytest.raises(RowFault, match="empty answer") as caught:
        render(form, {"q": "x", "a": {"text": [" "]}})
    assert caught.value.drop == "empty"
    with pytest.raises(RowFault, match="does not fit the template"):
        render(form, {"q": "x", "a": {"text": [{"deep": 1}]}})
    with pytest.raises(RowFault, match="does not fit the template"):
        render(Form(prompt="{{ q }}", answer="It is {{ a }}"), {"q": "x", "a": ["one"]})


def test_an_option_with_a_blank_is_the_choice_that_training_shows() -> None:
    form = Form(prompt="{{ q }}", answer="{{ o[r] }}", options="{{ o }}")
    rendered = render(form, {"q": "x", "o": ["red ", "green"], "r": 0})
    assert (rendered.answer, rendered.choices, rendered.target) == (" red", (" red", " green"), 0)


@pytest.mark.parametrize(
    ("names", "cell", "name"),
    [
        (("no", "yes"), 1, "yes"),
        (("no", "yes"), 1.0, "yes"),
        (("no", "yes"), "1", "yes"),
        (("no", "yes"), True, "yes"),
        (("no", "yes"), False, "no"),
        (("no", "yes"), "no", "no"),
        (("1", "0"), "1", "1"),  # as it is written, before it is a place
        (("1", "0"), 1, "1"),  # and the same from JSON
        (("1", "0"), 0.0, "0"),
        (("1", "0"), True, "1"),
        (("0", "1"), 1, "1"),
        (("3", "5"), 5, "5"),
        (("1", "2", "3"), 1, "1"),
        (("1", "2", "3+"), 1, "1"),
        (("true", "false"), True, "true"),
        (("True", "False"), False, "False"),
        (("True", "Neither", "False"), True, "True"),
        (("True", "Neither", "False"), 1, "Neither"),
        ({"0111": "a", "111": "b"}, "0111", "a"),
        ({"0111": "a", "111": "b"}, 111, "b"),
        ({"0": "bad", "1": "good"}, 1.0, "good"),
        ({"0": "bad", "1": "good"}, True, "good"),
        ({"true": "good", "false": "bad"}, True, "good"),
        ({"True": "good", "False": "bad"}, False, "bad"),
        ({"1.0": "good", "0.0": "bad"}, 1, "good"),
    ],
)
def test_a_class_is_matched_as_it_is_written_and_then_as_a_number(names: Any, cell: object, name: str) -> None:
    label = Label(column="y", names=names)
    assert label.choices[class_of(label, {"y": cell})] == name
