"""Sentences from templates: slots that draw from the word lists, and alternatives in brackets.

Owns the template language. Knows the lists' names through `words.LISTS` alone, and no task.

    {firm}        a draw from the list "firm"; named again in the same template it is the same word
    {firm2}       a further draw from that list; no two draws of a template are the same word
    {3-9}         a number from 3 to 9, drawn anew each time
    [a|b|]        one of the alternatives, the last one empty

What the caller gives stands for a slot of that name. "a" becomes "an" where the next word asks for it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.words import HE, LISTS, SHE

Part = tuple[int, Any, Any]
_TEXT, _SLOT, _CHOICE, _RANGE = range(4)

_TOKEN = re.compile(r"\{(\d+)-(\d+)\}|\{([A-Za-z_]+)(\d*)\}|(\[)|(\|)|(\])")
_ARTICLE = re.compile(r"\b([Aa]) (?=(?:[aeioAEIO]|[uU](?!ni|s[ei])|hour|honest))(?!one\b|once\b)")
_PIECE = re.compile(r"[A-Za-z]+|\d|[^\w\s]+|\n")


def write(chance: Chance, template: str, **given: object) -> str:
    """The template's text; an unknown slot raises KeyError."""
    memory = {name: str(value) for name, value in given.items()}
    text = _evaluate(chance, _parse(template), memory)
    return _ARTICLE.sub(r"\1n ", text) if "a " in text or "A " in text else text


def sentence(chance: Chance, template: str, **given: object) -> str:
    """As `write`, with a capital at the head."""
    return capital(write(chance, template, **given))


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def pieces(text: str) -> int:
    """About how many tokens the text has where every frequent word is one: words, digits and marks."""
    return len(_PIECE.findall(text))


def someone(chance: Chance, *others: str) -> dict[str, str]:
    """A person, none of `others`, and the pronouns: who, they, their, them."""
    while True:
        if chance.yes(0.5):
            cast = {"who": chance.pick(SHE), "they": "she", "their": "her", "them": "her"}
        else:
            cast = {"who": chance.pick(HE), "they": "he", "their": "his", "them": "him"}
        if cast["who"] not in others:
            return cast


@lru_cache(maxsize=16384)
def _parse(template: str) -> list[Part]:
    """The template as (kind, ...) parts; a choice holds a list of parts for each alternative."""
    levels: list[list[list[Part]]] = [[[]]]
    position = 0
    for match in _TOKEN.finditer(template):
        if match.start() > position:
            levels[-1][-1].append((_TEXT, template[position : match.start()], None))
        position = match.end()
        low, high, name, tag, opens, bar, _closes = match.groups()
        if low:
            levels[-1][-1].append((_RANGE, int(low), int(high)))
        elif name:
            levels[-1][-1].append((_SLOT, name, name + tag))
        elif opens:
            levels.append([[]])
        elif bar:
            levels[-1].append([])
        else:
            choice = levels.pop()
            levels[-1][-1].append((_CHOICE, choice, None))
    levels[-1][-1].append((_TEXT, template[position:], None))
    return levels[0][0]


def _evaluate(chance: Chance, parts: list[Part], memory: dict[str, str]) -> str:
    text = ""
    for kind, first, second in parts:
        if kind == _TEXT:
            text += first
        elif kind == _SLOT:
            text += memory[second] if second in memory else _draw(chance, first, second, memory)
        elif kind == _CHOICE:
            text += _evaluate(chance, chance.pick(first), memory)
        else:
            text += str(chance.between(first, second))
    return text


def _draw(chance: Chance, name: str, slot: str, memory: dict[str, str]) -> str:
    while True:
        word = chance.pick(LISTS[name])
        if "{" in word or "[" in word:
            word = _evaluate(chance, _parse(word), memory)
        if word not in memory.values():
            memory[slot] = word
            return word
