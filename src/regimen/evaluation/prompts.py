"""Items to tokens: what the model reads, cut to the context by a stated rule.

Owns truncation and the prompt's hash. Does not know models or scores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from regimen.data.items import Item


class Encoder(Protocol):
    """What is needed of a tokenizer."""

    end: int

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]: ...

    def decode(self, ids: Sequence[int]) -> str: ...


@dataclass(frozen=True)
class EncodedItem:
    """An item's token ids. An empty prompt is the end-of-text token, which opens a document."""

    prompt: list[int]
    answer: list[int]
    choices: list[list[int]]
    truncated: bool
    prompt_hash: str


def encode_items(
    items: Sequence[Item], tokenizer: Encoder, context: int, reserve: int, cut: Literal["left", "middle"]
) -> list[EncodedItem]:
    """Encodes items so that prompt and longest continuation (at least `reserve` tokens) fit in `context`.

    Too long a prompt loses its left, or its middle; so much of it is kept that at least one token remains.
    """
    prompts = tokenizer.encode_many([item.prompt for item in items])
    answers = tokenizer.encode_many([item.answer for item in items])
    flat = [choice for item in items for choice in item.choices]
    encoded = dict(zip(flat, tokenizer.encode_many(flat), strict=True))
    result = []
    for item, prompt, answer in zip(items, prompts, answers, strict=True):
        choices = [encoded[choice] for choice in item.choices]
        longest = max([reserve, *(len(ids) for ids in choices or [answer])])
        kept, truncated = truncate(prompt or [tokenizer.end], max(1, context - longest), cut)
        digest = hashlib.sha256(item.prompt.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]
        result.append(EncodedItem(kept, answer[: context - 1], choices, truncated, digest))
    return result


def truncate(ids: list[int], room: int, cut: Literal["left", "middle"]) -> tuple[list[int], bool]:
    """`ids` cut to `room` tokens, and whether that took anything away."""
    if len(ids) <= room:
        return ids, False
    if cut == "left":
        return ids[len(ids) - room :], True
    head = room // 2
    return ids[:head] + ids[len(ids) - (room - head) :], True
