"""Items to tokens: prompts and answers, cut to the context by a stated rule.

Owns truncation and the prompt's hash. Does not know models or scores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from regimen.data.chat import template_of
from regimen.data.items import Item
from regimen.data.row_fault import RowFault
from regimen.data.tokenizer import Pair


class Encoder(Protocol):
    """The part of a tokenizer that evaluation needs."""

    end: int
    folder: Path
    starts: list[int]

    @property
    def opening(self) -> list[int]: ...

    @property
    def prefix(self) -> int: ...

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]: ...

    def encode_whole(self, texts: Sequence[str]) -> list[list[int]]: ...

    def encode_rendered(self, texts: Sequence[str]) -> list[list[int]]: ...

    def encode_pairs(self, prompts: Sequence[str], answers: Sequence[str]) -> list[Pair]: ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def ids_holding(self, character: str) -> frozenset[int]: ...


@dataclass(frozen=True)
class EncodedItem:
    """An item's token ids. An empty prompt is what the tokenizer opens a text with.

    `prompt` is what a model goes on from; `before` is what answer and choices follow, shorter than the prompt where a
    token reaches from one into the other. `fault` is the reason why choices cannot be scored; `answer_cut` whether
    the context cuts the answer; `shots` counts the solved examples before the prompt.
    """

    prompt: list[int]
    before: list[int]
    answer: list[int]
    choices: list[list[int]]
    truncated: bool
    prompt_hash: str
    answer_cut: bool = False
    fault: str | None = None
    shots: int = 0


def encode_items(
    items: Sequence[Item], tokenizer: Encoder, context: int, reserve: int, cut: Literal["left", "middle"]
) -> list[EncodedItem]:
    """Encodes items so that prompt and longest continuation (at least `reserve` tokens) fit in `context`.

    Solved examples go one by one, the first ones first, until the rest fits; a prompt that is too long by itself
    loses its left, or its middle, and so much of it is kept that at least one token remains.
    """
    result = []
    for item, question in zip(items, _questions(items, tokenizer), strict=True):
        text, prompt, before, answers, refused = question
        room = max(1, context - max([reserve, *(len(ids) for ids in answers[:-1] or answers)]))
        shots = len(item.shots)
        while shots and len(prompt) > room:
            shots -= 1
            text = "".join(item.shots[len(item.shots) - shots :]) + item.prompt
            (prompt,) = tokenizer.encode_whole([text])
            ((before, answers),) = _followers(tokenizer, [text], [[*item.choices, item.answer]])
        kept, truncated = truncate(prompt or tokenizer.opening, room, cut)
        short = answers[-1][: max(1, context - 1)]
        result.append(
            EncodedItem(
                prompt=kept,
                before=kept if before == prompt else truncate(before or tokenizer.opening, room, cut)[0],
                answer=short,
                choices=answers[:-1],
                truncated=truncated,
                prompt_hash=prompt_hash(text),
                answer_cut=len(short) < len(answers[-1]),
                fault=refused or _fault(item, answers[:-1], context),
                shots=shots,
            )
        )
    return result


def _followers(
    tokenizer: Encoder, texts: Sequence[str], answers: Sequence[Sequence[str]]
) -> list[tuple[list[int], list[list[int]]]]:
    """For each text the ids before its answers, and those of every answer: each pair tokenised as one text and cut."""
    prompts = [text for text, following in zip(texts, answers, strict=True) for _ in following]
    pairs = iter(tokenizer.encode_pairs(prompts, [answer for following in answers for answer in following]))
    result = []
    for following in answers:
        own = [next(pairs) for _ in following]
        before = min((pair.prompt for pair in own), key=len)
        rest = [[*pair.prompt, *pair.answer][len(before) :] for pair in own]
        result.append((before, rest))
    return result


class _Question(NamedTuple):
    """A prompt with its solved examples: text, ids, the ids before the answers, the ids of choices and answer.

    `refused` is the chat template's reason where it refuses the conversation.
    """

    text: str
    ids: list[int]
    before: list[int]
    answers: list[list[int]]
    refused: str | None


def _questions(items: Sequence[Item], tokenizer: Encoder) -> list[_Question]:
    """Each item's question, tokenised; a conversation goes through its chat template."""
    own = [item for item in items if item.conversation is None]
    texts = ["".join(item.shots) + item.prompt for item in own]
    follow = _followers(tokenizer, texts, [[*item.choices, item.answer] for item in own])
    plain = iter(zip(texts, tokenizer.encode_whole(texts), follow, strict=True))
    questions: list[_Question] = []
    for item in items:
        if item.conversation is None:
            text, prompt, (before, answers) = next(plain)
            questions.append(_Question(text, prompt, before, answers, None))
            continue
        template = template_of(tokenizer.folder, item.chat_template)
        answers = tokenizer.encode_many([*item.choices, item.answer])
        try:
            text = template.last_prompt(item.conversation)
        except RowFault as fault:
            questions.append(_Question(item.prompt, [tokenizer.end], [tokenizer.end], answers, fault.drop or fault.why))
            continue
        (prompt,) = tokenizer.encode_rendered([text])
        questions.append(_Question(text, prompt, prompt, answers, None))
    return questions


def prompt_hash(text: str) -> str:
    """16 hex digits of the SHA-256 of a prompt's text, before it is cut."""
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def _fault(item: Item, choices: Sequence[Sequence[int]], context: int) -> str | None:
    for choice, ids in zip(item.choices, choices, strict=True):
        if not ids:
            return f"the choice {choice!r} has no tokens"
        if len(ids) >= context:
            return f"the choice {choice[:40]!r} has {len(ids)} tokens, the context is {context}"
    return None


def truncate(ids: list[int], room: int, cut: Literal["left", "middle"]) -> tuple[list[int], bool]:
    """`ids` cut to `room` tokens, and whether that took anything away."""
    if len(ids) <= room:
        return ids, False
    if cut == "left":
        return ids[len(ids) - room :], True
    head = room // 2
    return ids[:head] + ids[len(ids) - (room - head) :], True
