"""Conversations to tokens by a chat template, with a mask of the tokens that the assistant says.

Owns where a template comes from (the base, ChatML, a study's own text), the cutting of a rendered conversation into
pieces with and without loss, and the check that these pieces are whole tokens. The mask is made from tokens: every
piece is tokenised and the joined pieces must be the tokens of the whole. Does not know rows, forms or files of data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

from jinja2 import TemplateError

from regimen.data.conversations import Conversation, Turn
from regimen.data.row_fault import RowFault
from regimen.errors import ModelError

TurnLoss = Literal["assistant", "last"]
Encode = Callable[[Sequence[str]], list[list[int]]]

# ChatML as published by OpenAI in 2023 (openai-python, chatml.md): each turn between two marks, its role first.
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' }}"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{{ message.content + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# No marks but the end-of-text token, for bases that have never seen others: a frozen head cannot learn to say them.
PLAIN = (
    "{% for message in messages %}{{ message.role | capitalize + ':' }}"
    "{% if message.role == 'assistant' %}{% generation %}{{ ' ' + message.content + eos_token }}{% endgeneration %}"
    "{% else %}{{ ' ' + message.content }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
_BUILT_IN = {"chatml": CHATML, "plain": PLAIN}
_MARKED = re.compile(r"\{%-?\s*generation\s*-?%\}")
_MARKS_OF_LOSS = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
_REWRITES = "chat template rewrites earlier turns: use `loss: last`"
_SPLITS = "a turn of the chat template begins inside a token"


@dataclass(frozen=True)
class Piece:
    """A stretch of a rendered conversation; `loss` where the assistant speaks."""

    text: str
    loss: bool


@dataclass(frozen=True)
class ChatTemplate:
    """A chat template's text with the base's special tokens by name (`bos_token`, `eos_token`).

    `marks` are the special tokens' texts: a row whose own text holds one would change what the template says.
    """

    text: str
    specials: Mapping[str, str] = field(default_factory=dict)
    marks: tuple[str, ...] = ()

    @cached_property
    def is_marked(self) -> bool:
        """True if the template itself marks the assistant's words ({% generation %})."""
        return _MARKED.search(self.text) is not None

    @property
    def plain(self) -> str:
        """The template without marks of its own, as chat servers read it."""
        return _MARKS_OF_LOSS.sub("", self.text)

    def prompt(self, conversation: Conversation, turn: int) -> str:
        """The text before the assistant's turn number `turn`, its opening included; raises RowFault."""
        return self._render(conversation.before(turn), opened=True)

    def last_prompt(self, conversation: Conversation) -> str:
        """The prompt of the assistant's last turn; raises RowFault, as `pieces` does."""
        self._check_marks(conversation)
        return self.prompt(conversation, conversation.answers[-1])

    def pieces(self, conversation: Conversation, loss: TurnLoss) -> list[Piece]:
        """The rendered conversation in pieces; loss on every turn of the assistant, or on the last alone.

        Raises RowFault, with the reason under which such rows are dropped and counted, where the template refuses
        the conversation, rewrites earlier turns, or the row holds one of the template's marks.
        """
        self._check_marks(conversation)
        turns = conversation.answers if loss == "assistant" else conversation.answers[-1:]
        whole, marked = self._rendered(conversation, opened=False, marked=self.is_marked)
        spans = [self._span(conversation, turn, whole) for turn in turns]
        if self.is_marked:
            begun = [start for start, _ in spans]
            spans = [span for span in marked if span[0] >= begun[0]]
            if not spans:
                raise RowFault("messages", whole, "has no turn that the template marks", drop="no assistant turn")
        return _cut(whole, spans)

    @cached_property
    def closing(self) -> str:
        """The text that closes a turn of the assistant, such as "<|im_end|>"; "" where nothing does."""
        asked = Conversation((Turn("user", "Who?"), Turn("assistant", "Nobody-at-all")))
        return self.pieces(asked, "last")[1].text.rpartition("Nobody-at-all")[2].strip()

    def _span(self, conversation: Conversation, turn: int, whole: str) -> tuple[int, int]:
        """Start and end of a turn's words: after the turn's opening, up to its last mark."""
        opening = self.prompt(conversation, turn)
        closed = self._render(conversation.before(turn + 1), opened=False)
        if not closed.startswith(opening) or not whole.startswith(closed):
            raise RowFault("messages", whole, "is rendered otherwise when it goes on", drop=_REWRITES)
        return len(opening), len(opening) + self._without_blanks_behind(closed[len(opening) :])

    def _without_blanks_behind(self, words: str) -> int:
        """The length of a turn's words up to its last mark, where nothing but blanks stands behind that."""
        last = max((words.rfind(mark) + len(mark) for mark in self.marks if mark in words), default=len(words))
        return last if not words[last:].strip() else len(words)

    def _check_marks(self, conversation: Conversation) -> None:
        for turn in conversation.turns:
            for mark in self.marks:
                if mark in turn.content:
                    raise RowFault("messages", turn.content, f"holds {mark}", drop="holds a mark of the chat template")

    def _render(self, conversation: Conversation, *, opened: bool) -> str:
        return self._rendered(conversation, opened=opened, marked=False)[0]

    def _rendered(self, conversation: Conversation, *, opened: bool, marked: bool) -> tuple[str, list[tuple[int, int]]]:
        from transformers.utils.chat_template_utils import render_jinja_template

        given: Any = {
            "tools": [dict(tool) for tool in conversation.tools] or None,
            "chat_template": self.text,
            "return_assistant_tokens_mask": marked,
            "add_generation_prompt": opened,
            **self.specials,
        }
        messages: Any = [[turn.message() for turn in conversation.turns]]
        try:
            texts, spans = render_jinja_template(messages, **given)  # type: ignore[misc]
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as fault:
            why = f"chat template refuses it: {str(fault)[:80]}"
            raise RowFault("messages", messages[0], f"does not fit the chat template ({fault})", drop=why) from None
        return texts[0], [(int(start), int(end)) for start, end in spans[0]] if marked else []


def _cut(whole: str, spans: Sequence[tuple[int, int]]) -> list[Piece]:
    pieces, at = [], 0
    for start, end in spans:
        pieces += [Piece(whole[at:start], False), Piece(whole[start:end], True)]
        at = end
    return [piece for piece in (*pieces, Piece(whole[at:], False)) if piece.text]


def encode_pieces(pieces: Sequence[Piece], encode: Encode) -> tuple[list[int], list[bool]]:
    """(ids, whether each carries loss), both of one length.

    The pieces are tokenised one by one; where their joined ids are not those of the whole text (a tokenizer that
    begins every text with a blank), the beginnings of the text are tokenised instead. Raises RowFault where a piece
    does not begin at a token.
    """
    texts = [piece.text for piece in pieces]
    whole, *parts = encode(["".join(texts), *texts])
    if [number for part in parts for number in part] == whole:
        ends = list(accumulate(len(part) for part in parts))
    else:
        ends = []
        for begun in encode(list(accumulate(texts))):
            if whole[: len(begun)] != begun:
                raise RowFault("messages", texts[0], "is not cut at a token", drop=_SPLITS)
            ends.append(len(begun))
    loss: list[bool] = []
    for piece, end in zip(pieces, ends, strict=True):
        loss += [piece.loss] * (end - len(loss))
    return whole, loss


@cache
def template_of(folder: Path, choice: str = "base") -> ChatTemplate:
    """The chat template that `choice` names: "base" (the one in the base's folder), "chatml", "plain", or a
    template's text.

    Raises ModelError where the base has none.
    """
    tokens = _tokens(folder)
    marks = _marks(folder, tokens)
    if choice != "base":
        return ChatTemplate(_BUILT_IN.get(choice, choice), tokens, marks)
    file = folder / "chat_template.jinja"
    text = file.read_text(encoding="utf-8") if file.is_file() else _settings(folder).get("chat_template")
    if isinstance(text, list):  # several by name: the one called default
        text = next((entry["template"] for entry in text if entry.get("name") == "default"), None)
    if not text:
        raise ModelError(f"{folder} has no chat template; name one in the form: chatml, plain or a file")
    return ChatTemplate(str(text), tokens, marks)


def _settings(folder: Path) -> dict[str, object]:
    file = folder / "tokenizer_config.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _tokens(folder: Path) -> dict[str, str]:
    found = {}
    for name, value in _settings(folder).items():
        if name.endswith("_token") and value:
            found[name] = str(value["content"] if isinstance(value, dict) else value)
    return found


def _marks(folder: Path, tokens: Mapping[str, str]) -> tuple[str, ...]:
    """The texts of all special tokens, the longest first."""
    file = folder / "tokenizer.json"
    added = json.loads(file.read_text(encoding="utf-8")).get("added_tokens", []) if file.is_file() else []
    special = {entry["content"] for entry in added if entry.get("special")}
    return tuple(sorted(special | set(tokens.values()), key=lambda mark: (-len(mark), mark)))
