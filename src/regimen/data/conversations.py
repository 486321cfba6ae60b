"""Conversations as people store them: lists of turns, whichever names the columns have.

Owns the reading of a row's turns (OpenAI's `role` and `content`, ShareGPT's `from` and `value`) and the checks that
one conversation can make of itself. Does not know chat templates, tokens or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regimen.data.row_fault import RowFault

# ShareGPT's names for the speakers, with those that LLaMA-Factory's documentation adds for tools.
SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
}
ROLES = ("system", "developer", "user", "assistant", "tool", "function", "ipython")


@dataclass(frozen=True)
class Turn:
    """One message: who speaks, the text, and whatever else a chat template may show (tool calls, names)."""

    role: str
    content: str
    more: Mapping[str, object] = field(default_factory=dict)

    def message(self) -> dict[str, object]:
        """The turn as chat templates read it."""
        return {"role": self.role, "content": self.content, **self.more}


@dataclass(frozen=True)
class Conversation:
    """The turns of one row in order, at least one of them the assistant's, and the tools that were on offer."""

    turns: tuple[Turn, ...]
    tools: tuple[Mapping[str, object], ...] = ()

    @property
    def answers(self) -> tuple[int, ...]:
        """The numbers of the assistant's turns."""
        return tuple(number for number, turn in enumerate(self.turns) if turn.role == "assistant")

    @classmethod
    def from_json(cls, value: Any) -> Conversation:
        """The conversation whose fields `dataclasses.asdict` gave."""
        return cls(tuple(Turn(**turn) for turn in value["turns"]), tuple(value["tools"]))

    def before(self, turn: int) -> Conversation:
        """The conversation up to a turn, that turn left out."""
        return Conversation(self.turns[:turn], self.tools)


def conversation_of(column: str, value: object, tools: object = None, system: str = "") -> Conversation:
    """The conversation in a row's value: a list of turns in either naming.

    `system` is put before the turns unless they begin with a system turn. Raises RowFault for what is no
    conversation; a row whose assistant says nothing is dropped and counted.
    """
    if value is None or value == [] or value == "":
        raise RowFault(column, value, "holds no turn", drop="empty")
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise RowFault(column, value, "is not a list of turns such as {role: user, content: ...}")
    turns = tuple(_turn(column, number, entry) for number, entry in enumerate(value))
    if system.strip() and turns[0].role != "system":
        turns = (Turn("system", system.strip()), *turns)
    conversation = Conversation(turns, _tools(column, tools))
    if not any(turns[number].content.strip() or turns[number].more for number in conversation.answers):
        raise RowFault(column, value, "holds no turn of the assistant", drop="no assistant turn")
    return conversation


def _turn(column: str, number: int, entry: object) -> Turn:
    if not isinstance(entry, Mapping):
        raise RowFault(column, entry, f"is turn {number} and no object with a role and a text")
    values: dict[str, object] = {str(key): value for key, value in entry.items()}
    if "role" in values:
        role = str(values.pop("role"))
        content = values.pop("content", None)
    elif "from" in values:
        speaker = str(values.pop("from"))
        role = SPEAKERS.get(speaker.lower(), speaker)
        content = values.pop("value", None)
    else:
        raise RowFault(column, sorted(values), f"are the keys of turn {number}; it needs `role` or `from`")
    if role not in ROLES:
        known = ", ".join(ROLES)
        raise RowFault(column, role, f"is the speaker of turn {number}; known are {known} and ShareGPT's names")
    more = {key: value for key, value in values.items() if value is not None}
    return Turn(role, _text(column, number, content), more)


def _text(column: str, number: int, content: object) -> str:
    """A turn's text; of a list of parts the joined texts. An image or a sound is no text."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and not isinstance(content, bytes):
        texts = []
        for part in content:
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Mapping) and isinstance(part.get("text"), str):
                texts.append(part["text"])
            else:
                raise RowFault(column, part, f"is a part of turn {number} that is no text")
        return "".join(texts)
    raise RowFault(column, content, f"is the content of turn {number} and no text")


def _tools(column: str, tools: object) -> tuple[Mapping[str, object], ...]:
    if tools is None or tools == "" or tools == []:
        return ()
    if isinstance(tools, Sequence) and all(isinstance(tool, Mapping) for tool in tools):
        return tuple(tool for tool in tools if isinstance(tool, Mapping))
    raise RowFault(column, tools, "is the row's `tools` and no list of objects")
