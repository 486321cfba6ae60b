"""Named entities as they are written in answers: "Ada is a person, Paris is a location."

Owns this form: reading entities out of a text, and whether a right answer is written in it. Which types there are is
read from the right answers. Does not know metrics.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

FORM = "X is a TYPE, Y is a TYPE."
NONE = frozenset({"none", "no entities"})  # besides a text of punctuation alone: a row without entities
_ANY_TYPE = re.compile(r"\s*(.+?) is an? ([^,.\n]+?)\s*(?:[,.]|$)")


def is_readable(answer: str) -> bool:
    """True if a right answer holds entities in this form and nothing else, or says that there are none."""
    place = 0
    while match := _ANY_TYPE.match(answer, place):
        place = match.end()
    rest = answer[place:].strip(" .,;-\n").casefold()
    return not rest or (place == 0 and rest in NONE)


def types_of(answers: Iterable[str]) -> frozenset[str]:
    """The entity types that right answers name."""
    return frozenset(kind for answer in answers for _, kind in _ANY_TYPE.findall(answer))


def entities_of(text: str, types: frozenset[str] | None = None) -> list[tuple[str, str]]:
    """The distinct (surface, type) pairs of a text, in order; nothing but these types counts (None: any type)."""
    pairs = _pattern(types).findall(text)
    return list(dict.fromkeys((" ".join(surface.split()), kind) for surface, kind in pairs))


@cache
def _pattern(types: frozenset[str] | None) -> re.Pattern[str]:
    if types is None:
        return _ANY_TYPE
    if not types:
        return re.compile(r"(?!)")
    either = "|".join(re.escape(kind) for kind in sorted(types, key=lambda kind: (-len(kind), kind)))
    return re.compile(rf"\s*(.+?) is an? ({either})\s*(?:,|\.|$)")


def entity_counts(prediction: str, answer: str, types: frozenset[str] | None = None) -> tuple[int, int, int]:
    """(right, predicted, wanted) numbers of entities; `types` defaults to those of the answer."""
    types = types_of([answer]) if types is None else types
    predicted, wanted = set(entities_of(prediction, types)), set(entities_of(answer, types))
    return len(predicted & wanted), len(predicted), len(wanted)
