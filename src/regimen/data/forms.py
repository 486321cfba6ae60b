"""Rows to text: prompt and answer, choices, groups.

Owns the rendering of one row by a form, for training and for evaluation alike, so that both see the same bytes.
Does not know where rows come from, tokens, or scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from regimen.data.classes import class_of
from regimen.data.conversations import Conversation, conversation_of
from regimen.data.row import Row
from regimen.data.row_fault import RowFault
from regimen.study.contents import is_all_content, put_in
from regimen.study.sources import Form
from regimen.study.templates import columns_of, evaluate, fill

MAX_CHARACTERS = 1_000_000  # a longer value is no document but a fault of the file


@dataclass(frozen=True)
class Rendered:
    """A row as text. `answer` is what follows `prompt` (with the join); `choices` is empty for open answers.

    `others` are right answers beside the first, of a form whose `answer` gives a list.
    Of a `conversation` the prompt is a plain transcript of what stands before the assistant's last turn, for people
    and for comparing; models read it by a chat template.
    """

    prompt: str
    answer: str
    choices: tuple[str, ...] = ()
    target: int = -1
    others: tuple[str, ...] = ()
    conversation: Conversation | None = None


def render(form: Form, row: Row) -> Rendered:
    """The row's prompt and answer; raises RowFault for what does not fit, ValueError for a form without prompt.

    A row is dropped as "empty" if its answer is, or every column that its prompt shows.
    """
    if form.messages is not None:
        return _render_chat(conversation_by(form, row))
    if form.prompt is None:
        raise ValueError("this form has no prompt")
    prompt = _fill(form.prompt, row, form)
    columns = columns_of(form.prompt)
    if columns and all(_is_blank(row[column]) for column in columns):
        raise RowFault(first_column(form.prompt), row[min(columns)], "leaves nothing to ask about", drop="empty")
    if form.label is not None:
        target = class_of(form.label, row)
        choices = tuple(form.join + name for name in form.label.choices)
        return Rendered(prompt, choices[target], choices, target)
    assert form.answer is not None
    bare, others = _answers(form.answer, row, form)
    answer = form.join + (bare.strip() if form.join else bare)
    if not bare.strip():
        raise RowFault(first_column(form.answer), bare, "renders to an empty answer", drop="empty")
    if form.options is None:
        return Rendered(prompt, answer, others=others)
    options = evaluate(form.options, row)
    names = [str(option) for option in options] if isinstance(options, list | tuple) else []
    if form.join:  # as the answer, so that a choice is what training shows
        names = [name.strip() for name in names]
    if bare.strip() not in names:
        raise RowFault(first_column(form.answer), bare, f"is none of the options {', '.join(names)}")
    return Rendered(prompt, answer, tuple(form.join + name for name in names), names.index(bare.strip()))


def _answers(template: str, row: Row, form: Form) -> tuple[str, tuple[str, ...]]:
    """The answer, and the others of a template that gives a list of right answers; repeated and blank ones go."""
    try:
        return _fill(template, row, form), ()
    except RowFault:
        values = _listed(template, row)
        if values is None:
            raise
    distinct = list(dict.fromkeys(value for value in values if value.strip()))
    return (distinct[0], tuple(distinct[1:])) if distinct else ("", ())


def _listed(template: str, row: Row) -> list[str] | None:
    """The texts of a template that is one expression and gives a list of texts or numbers, else None."""
    if not template.strip().startswith("{{") or not set(columns_of(template)) <= set(row):
        return None
    try:
        values = evaluate(template, row)
    except (TemplateError, TypeError, AttributeError, ValueError):
        return None
    if not isinstance(values, list | tuple) or any(isinstance(value, dict | list | tuple | set) for value in values):
        return None
    return [str(value) for value in values if value is not None]


def _unfilled(template: str, row: Row, fault: Exception) -> RowFault:
    """The fault of a row by which a template cannot be filled; of the template itself where it shows no column."""
    if column := first_column(template):
        return RowFault(column, row.get(column), f"does not fit the template ({fault})")
    return RowFault("", template, f"cannot be filled ({fault})")


def value_of(form: Form, template: str, row: Row) -> object:
    """The value of a template that is one expression (text, list, ...), else its text; raises RowFault."""
    for column in columns_of(template):
        if column not in row:
            raise RowFault(column, ", ".join(sorted(row)), "are the row's columns; this one is missing")
    stripped = template.strip()
    if not (stripped.startswith("{{") and stripped.endswith("}}") and stripped.count("{{") == 1):
        return _fill(template, row, form)
    try:
        return evaluate(template, row)
    except (TemplateError, TypeError, AttributeError, ValueError) as fault:
        raise _unfilled(template, row, fault) from None


def conversation_by(form: Form, row: Row) -> Conversation:
    """The row's conversation; raises RowFault."""
    assert form.messages is not None
    turns = value_of(form, form.messages, row)
    tools = None if form.tools is None else value_of(form, form.tools, row)
    system = _fill(form.system, row, form) if form.system is not None else ""
    return conversation_of(first_column(form.messages) or "messages", turns, tools, system)


def _render_chat(conversation: Conversation) -> Rendered:
    last = conversation.answers[-1]
    before = conversation.before(last).turns
    answer = conversation.turns[last].content.strip()
    if not before or not answer:
        raise RowFault("messages", answer, "has nothing asked or nothing answered", drop="empty")
    return Rendered("\n".join(f"{turn.role}: {turn.content}" for turn in before), answer, conversation=conversation)


def _chat_content(conversation: Conversation) -> Content:
    """The turns before the last answer, system turns left out (all rows share them), and that answer."""
    last = conversation.answers[-1]
    spoken = (turn for turn in conversation.turns[:last] if turn.role not in ("system", "developer"))
    return Content(tuple(turn.content for turn in spoken), (conversation.turns[last].content,))


def render_text(form: Form, row: Row) -> str:
    """The row's pretraining text: its `text`, or prompt and answer joined; raises RowFault."""
    if form.text is not None:
        return _fill(form.text, row, form)
    rendered = render(form, row)
    return rendered.prompt + rendered.answer


def group_of(form: Form, row: Row, template: str | None = None) -> str:
    """The text that names the row's group: rows of one group never stand on both sides of a split.

    A row whose group is missing or empty is a group of its own, named by its text.
    """
    source = template or form.group
    columns = columns_of(source) if source else frozenset()
    if source and not (columns and all(name in row and _is_blank(row[name]) for name in columns)):
        named = _fill(source, row, form)
        if named.strip():
            return named
    if form.messages is not None:
        return " ".join(_chat_content(conversation_by(form, row)).prompt)
    own = form.text or form.prompt
    assert own is not None
    return _fill(own, row, form)


@dataclass(frozen=True)
class Content:
    """The texts that a row puts into its template, the fixed words left out: one text a value, in order."""

    prompt: tuple[str, ...]
    answer: tuple[str, ...] = ()

    @property
    def asked(self) -> str:
        """The prompt's values, joined by blanks."""
        return " ".join(self.prompt)

    @property
    def whole(self) -> str:
        """All values, joined by blanks."""
        return " ".join((*self.prompt, *self.answer))


def content_of(form: Form, row: Row, text: str | None = None) -> Content:
    """The row's own values: of its `text` where `text`, its rendered form, is given, else of prompt and answer.

    The name of a class is the study's word, not the row's. The group is no part of it. For rows that were rendered.
    """
    if text is None and form.messages is not None:
        return _chat_content(conversation_by(form, row))
    if text is not None or form.prompt is None:
        assert form.text is not None
        if text is not None and is_all_content(form.text):
            return Content((text,))
        return Content(put_in(form.text, _without_none(row)))
    values = _without_none(row)
    return Content(put_in(form.prompt, values), put_in(form.answer, values) if form.answer else ())


def _without_none(row: Row) -> Row:
    """The row with empty text for null, inside objects and lists too: Jinja's filters would print the word "None"."""
    return {name: value if isinstance(value, str) else _filled(value) for name, value in row.items()}


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return _without_none(value)
    if isinstance(value, list):
        return [_filled(item) for item in value]
    return "" if value is None else value


def _is_blank(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def first_column(template: str) -> str:
    """The column that a fault of a template is named by, "" where it has none."""
    return min(columns_of(template), default="")


def _fill(template: str, row: Row, form: Form) -> str:
    for column in columns_of(template):
        if column not in row:
            raise RowFault(column, ", ".join(sorted(row)), "are the row's columns; this one is missing")
        value = row[column]
        if isinstance(value, str) and "\x00" in value:
            raise RowFault(column, value.replace("\x00", "\\0"), "holds a NUL character", drop="NUL character")
        if isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value)):
            raise RowFault(column, value, "is no text: bytes" if isinstance(value, bytes) else "is no finite number")
        if isinstance(value, str) and len(value) > MAX_CHARACTERS:
            why = f"has {len(value):,} characters, the limit is {MAX_CHARACTERS:,}"
            raise RowFault(column, value, why, drop="too long")
    try:
        text = fill(template, _without_none(row))
    except (TemplateError, TypeError, AttributeError, ValueError) as fault:
        raise _unfilled(template, row, fault) from None
    return text.rstrip(" ") if template is form.prompt else text
