"""A first guess at what a file's rows are for: conversations, questions with answers, classes, or plain text.

Owns the rules of guessing, by column names first and values second. Every guess says why it was made. Does not read
files and does not write studies.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

from regimen.data.row import Row
from regimen.study.templates import LETTERS

Kind = Literal["chat", "classes", "answers", "text"]

CHAT_COLUMNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns")
LABEL_COLUMNS = ("label", "labels", "class", "category", "sentiment", "intent", "topic", "target", "stars", "rating")
SCORE_COLUMNS = ("score", "stars", "rating", "sentiment", "label", "grade")
ASKING = ("prompt", "question", "instruction", "query", "problem", "source", "input", "user", "article", "document")
ANSWERING = (
    *("answer", "response", "completion", "output", "chosen", "solution", "summary", "highlights", "reply"),
    *("target", "reference", "result", "assistant"),
)
CONTEXTS = ("context", "passage", "background", "paragraph", "system", "input")
TEXTS = ("text", "content", "body", "sentence", "review", "tweet", "document", "article", "message")
OPTIONS = ("options", "choices", "candidates", "endings", "answers")
MOST_CLASSES = 50
LONGEST_CLASS = 60  # characters
ROWS_A_CLASS = 3  # fewer rows than this for each value, and the values are no classes


@dataclass(frozen=True)
class Guess:
    """A guess at a file's rows: the form as it is written in a study, and the reason for each part of it."""

    kind: Kind
    form: Mapping[str, object]
    reasons: tuple[str, ...]
    answer_characters: int = 0
    row_characters: int = 0


def guess(rows: Sequence[Row]) -> Guess | None:
    """The likeliest use of the rows; None where no column holds text."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for rule in (_chat, _alpaca, _choices, _named_classes, _scores, _pairs, _classes, _text):
        if (guessed := rule(rows, columns)) is not None:
            return guessed
    return None


def _chat(rows: Sequence[Row], columns: Sequence[str]) -> Guess | None:
    for name in sorted(columns, key=lambda name: name.lower() not in CHAT_COLUMNS):
        values = [row[name] for row in rows if row.get(name)]
        if values and all(_is_conversation(value) for value in values):
            naming = "role and content" if "role" in values[0][0] else "from and value (ShareGPT)"
            form = {"messages": _shown(name), "chat_template": "plain"}
            reasons = (f"{name!r} holds lists of turns with {naming}", "base would be the template of the base itself")
            longest = max(len(str(value)) for value in values)
            last = max(len(str(value[-1].get("content") or value[-1].get("value") or "")) for value in values)
            return Guess("chat", form, reasons, answer_characters=last, row_characters=longest)
    return None


def _is_conversation(value: object) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(turn, dict) and ({"role", "content"} <= set(turn) or "from" in turn) for turn in value)


def _alpaca(rows: Sequence[Row], columns: Sequence[str]) -> Guess | None:
    if not {"instruction", "output"} <= set(columns):
        return None
    more = "{% if input %}\n{{ input }}{% endif %}" if "input" in columns else ""
    form = {"prompt": "{{ instruction }}" + more + "\nAnswer:", "answer": "{{ output }}"}
    reasons = ("the columns are Alpaca's: instruction, input, output",)
    return _with_lengths(rows, Guess("answers", form, reasons), "output", ["instruction", "input", "output"])


def _choices(rows: Sequence[Row], columns: Sequence[str]) -> Guess | None:
    """A list of options beside the right one: its number from 0, its letter, or its text."""
    lists = [name for name in columns if all(_is_texts(row.get(name)) for row in rows)]
    options = _named(lists, OPTIONS) or (lists[0] if lists else None)
    question = _named(_text_columns(rows, columns, shortest=0), ASKING)
    right = [name for name in columns if options and _points_at(rows, name, options)]
    if options is None or question is None or not right:
        return None
    answer = _named(right, (*ANSWERING, *LABEL_COLUMNS)) or right[-1]
    shown = "{{ (" + options + " | letters)[" + answer + "] }}"
    if not all(isinstance(row[answer], int) for row in rows):
        shown = _shown(answer) if all(len(row[answer]) == 1 for row in rows) else ""
    if not shown:  # the right option's text
        shown = "{{ (" + options + " | letters)[" + options + ".index(" + answer + ")] }}"
    form = {
        "prompt": _shown(question) + "\n{{ " + options + " | lettered }}\nAnswer:",
        "answer": shown,
        "options": "{{ " + options + " | letters }}",
    }
    reasons = (f"{options!r} lists the options and {answer!r} names the right one",)
    return _with_lengths(rows, Guess("classes", form, reasons), answer, [question, options])


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, str) for one in value)


def _points_at(rows: Sequence[Row], name: str, options: str) -> bool:
    """True if a column names one of the row's options in every row, in one of the three ways."""
    if not name.isidentifier() or not options.isidentifier():
        return False
    values = [(row.get(name), row[options]) for row in rows]
    return (
        all(isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(o) for value, o in values)
        or all(isinstance(value, str) and value in LETTERS[: len(o)] and len(value) == 1 for value, o in values)
        or all(value in o for value, o in values)
    )


def _named_classes(rows: Sequence[Row], columns: Sequence[str]) -> Guess | None:
    return _classes(rows, columns, [name for name in columns if name.lower() in LABEL_COLUMNS])


def _classes(rows: Sequence[Row], columns: Sequence[str], among: Sequence[str] | None = None) -> Guess | None:
    """A column of few values, each of them often there, beside columns of text."""
    looked = columns if among is None else among
    candidates = [name for name in looked if _are_classes(_distinct(rows, name), len(rows))]
    label = _named(candidates, LABEL_COLUMNS) or (candidates[-1] if candidates else None)
    if label is None:
        return None
    shown = _shown_texts(rows, [name for name in columns if name != label])
    if not shown:
        return None
    values = sorted(_distinct(rows, label), key=_by_number)
    names = {value: _class_name(value) for value in values}
    form = {
        "prompt": _asking(shown, f"What is the {label.replace('_', ' ')}?"),
        "label": {"column": label, "names": names},
    }
    reasons = (
        f"{label!r} has {len(values)} values in {len(rows)} rows",
        f"{' and '.join(shown)} is the text beside it",
    )
    return _with_lengths(rows, Guess("classes", form, reasons), label, shown)


def _scores(rows: Sequence[Row], columns: Sequence[str]) -> Guess | None:
    """A column of numbers with the name of a score: cut at its median into two classes."""
    label = _named([name for name in columns if _are_numbers([row.get(name) for row in rows])], SCORE_COLUMNS)
    shown = _shown_texts(rows, [name for name in columns if name != label])
    if label is None or not shown:
        return None
    values = sorted(float(row[label]) for row in rows if row.get(label) not in (None, ""))
    middle = next((value for value in values[len(values) // 2 :] if value > values[0]), None)
    if middle is None:
        return None
    form = {
        "prompt": _asking(shown, f"Is the number of {label.replace('_', ' ')} low or high?"),
        "label": {"column": label, "bins": [middle], "names": ["low", "high"]},
    }
    reasons = (f"{label!r} holds numbers; it is cut at {middle:g}, so that both classes are of like size",)
    return _with_lengths(rows, Guess("classes", form, reasons), label, shown)


def _are_numbers(values: Sequence[object]) -> bool:
    """True if all values but missing ones are finite numbers, or text that is one (the cells of a CSV)."""
    known = [value for value in values if value is not None and value != ""]
    try:
        return bool(known) and all(not isinstance(v, bool) and isfinite(float(v)) for v in known)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _shown_texts(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """The column that is named like a text, or up to three columns of text in the file's order."""
    texts = _text_columns(rows, columns)
    named = _named(texts, TEXTS)
    return [named] if named else [name for name in columns if name in texts[:3]]


def _asking(shown: Sequence[str], question: str) -> str:
    """A prompt that shows columns, each under its name where there are several, and ends by a question."""
    several = len(shown) > 1
    lines = [f"{name.replace('_', ' ').capitalize()}: {_shown(name)}" if several else _shown(name) for name in shown]
    return "\n".join([*lines, f"Question: {question}", "Answer:"])


def _are_classes(values: Counter[str], rows: int) -> bool:
    return (
        2 <= len(values) <= MOST_CLASSES
        and rows >= ROWS_A_CLASS * len(values)
        and all(value.strip() and len(value) <= LONGEST_CLASS for value in values)
    )


def _class_name(value: str) -> str:
    """A number is shown as a word with the number, so that no class is the beginning of another."""
    return value.strip() if not value.strip().lstrip("-").replace(".", "", 1).isdigit() else f"class {value.strip()}"


def _pairs(rows: Sequence[Row], columns: Sequence[str]) -> Guess | None:
    texts = _text_columns(rows, columns, shortest=0)
    answer = _named([name for name in texts if name.lower() in ANSWERING], ANSWERING)
    asked = [name for name in texts if name != answer]
    question = _named([name for name in asked if name.lower() in ASKING], ASKING)
    if answer is None or question is None:
        return None
    context = _named([name for name in asked if name.lower() in CONTEXTS and name != question], CONTEXTS)
    before = f"{_shown(context)}\n" if context else ""
    form = {"prompt": f"{before}{_shown(question)}\nAnswer:", "answer": _shown(answer)}
    reasons = (f"{question!r} sounds like a question and {answer!r} like its answer",)
    if context:
        reasons += (f"{context!r} is put before it",)
    return _with_lengths(
        rows, Guess("answers", form, reasons), answer, [name for name in (context, question, answer) if name]
    )


def _text(rows: Sequence[Row], columns: Sequence[str]) -> Guess | None:
    texts = _text_columns(rows, columns)
    if not texts:
        return None
    text = _named(texts, TEXTS) or texts[0]
    reasons = (f"{text!r} is the longest text; nothing looks like a class or an answer",)
    return _with_lengths(rows, Guess("text", {"text": _shown(text)}, reasons), text, [text])


def _with_lengths(rows: Sequence[Row], guessed: Guess, answer: str, shown: Sequence[str]) -> Guess:
    lengths = sorted(sum(len(str(row.get(name) or "")) for name in shown) for row in rows)
    answers = sorted(len(str(row.get(answer) or "")) for row in rows)
    at = int(0.95 * (len(rows) - 1))
    return Guess(guessed.kind, guessed.form, guessed.reasons, answers[at], lengths[at])


def _distinct(rows: Sequence[Row], name: str) -> Counter[str]:
    values = [row.get(name) for row in rows]
    if any(isinstance(value, float | list | dict) for value in values):
        return Counter()
    return Counter(_written(value) for value in values if value is not None and value != "")


def _written(value: object) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _text_columns(rows: Sequence[Row], columns: Sequence[str], shortest: int = 8) -> list[str]:
    """The columns of text, the longest mean length first."""
    means = {}
    for name in columns:
        values = [row[name] for row in rows if row.get(name) is not None]
        if values and all(isinstance(value, str | int | float) for value in values):
            mean = sum(len(str(value)) for value in values) / len(values)
            if any(isinstance(value, str) for value in values) and mean >= shortest:
                means[name] = mean
    return sorted(means, key=lambda name: -means[name])


def _named(columns: Sequence[str], names: Sequence[str]) -> str | None:
    """The column whose name comes first in `names`."""
    known = [name for name in columns if name.lower() in names]
    return min(known, key=lambda name: names.index(name.lower()), default=None)


def _by_number(value: str) -> tuple[int, float, str]:
    try:
        return (0, float(value), value)
    except ValueError:
        return (1, 0.0, value)


def _shown(column: str) -> str:
    """The template that shows a column, whatever its name holds."""
    return "{{ " + (column if column.isidentifier() else f"row[{json.dumps(column, ensure_ascii=False)}]") + " }}"
