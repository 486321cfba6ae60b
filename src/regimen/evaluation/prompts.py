"""Items to tokens: what the model reads, cut to the context by a stated rule.

Owns truncation and the prompt's hash. Does not know models or scores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from regimen.data.chat import template_of
from regimen.data.items import Item
from regimen.data.row_fault import RowFault


class Encoder(Protocol):
    """What is needed of a tokenizer."""

    end: int
    folder: Path

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]: ...

    def encode_rendered(self, texts: Sequence[str]) -> list[list[int]]: ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def ids_holding(self, character: str) -> frozenset[int]: ...


@dataclass(frozen=True)
class EncodedItem:
    """An item's token ids. An empty prompt is the end-of-text token, which opens a document.

    `fault` says why the choices cannot be scored, if so; `answer_cut` whether the context cuts the answer; `shots`
    how many solved examples stand before the prompt.
    """

    prompt: list[int]
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
    answers = tokenizer.encode_many([item.answer for item in items])
    flat = list(dict.fromkeys(choice for item in items for choice in item.choices))
    encoded = dict(zip(flat, tokenizer.encode_many(flat), strict=True))
    asked = _asked(items, tokenizer)
    result = []
    for item, (text, prompt, refused), answer in zip(items, asked, answers, strict=True):
        choices = [encoded[choice] for choice in item.choices]
        room = max(1, context - max([reserve, *(len(ids) for ids in choices or [answer])]))
        shots = len(item.shots)
        while shots and len(prompt) > room:
            shots -= 1
            text = "".join(item.shots[len(item.shots) - shots :]) + item.prompt
            prompt = tokenizer.encode_many([text])[0]
        kept, truncated = truncate(prompt or [tokenizer.end], room, cut)
        digest = prompt_hash(text)
        short = answer[: max(1, context - 1)]
        fault = refused or _fault(item, choices, context)
        cut_off = len(short) < len(answer)
        result.append(EncodedItem(kept, short, choices, truncated, digest, cut_off, fault, shots))
    return result


def _asked(items: Sequence[Item], tokenizer: Encoder) -> list[tuple[str, list[int], str | None]]:
    """(text, ids, why the chat template refuses it) of each prompt, solved examples before it."""
    texts = ["".join(item.shots) + item.prompt for item in items if item.conversation is None]
    plain = iter(zip(texts, tokenizer.encode_many(texts), strict=True))
    asked: list[tuple[str, list[int], str | None]] = []
    for item in items:
        if item.conversation is None:
            asked.append((*next(plain), None))
            continue
        template = template_of(tokenizer.folder, item.chat_template)
        try:
            text = template.asked(item.conversation)
        except RowFault as fault:
            asked.append((item.prompt, [tokenizer.end], fault.drop or fault.why))
            continue
        asked.append((text, tokenizer.encode_rendered([text])[0], None))
    return asked


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
