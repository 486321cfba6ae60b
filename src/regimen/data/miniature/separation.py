"""Texts that others must stay away from: what is held out, and the test that a training text is clear of it.

Owns the measure of nearness: equality, containment, and the share of word 5-grams (Jaccard), after casefolding,
with URLs and $tickers removed. Knows no table and draws nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import chain

LIMIT = 0.45
"""Two texts are near from this Jaccard similarity on; a little below the half that is promised."""

GRAM = 5

_GONE = re.compile(r"https?://\S+|\$[a-z]+")
_WORD = re.compile(r"[a-z0-9]+")


def normal(text: str) -> str:
    """Casefolded, without URLs and $tickers, blanks collapsed."""
    text = text.casefold()
    if "$" in text or "://" in text:
        text = _GONE.sub(" ", text)
    return " ".join(text.split())


class Separation:
    """A growing set of held-out texts.

    A word is what stands between blanks, and, in a second reading, a run of letters and digits: texts must be clear
    in both, so that neither "4%." and "4%" nor "(9+7)*2" and "9 7 2" make a difference.
    """

    def __init__(self) -> None:
        self._readings: tuple[tuple[Callable[[str], list[str]], _Index], ...] = (
            (_WORD.findall, _Index()),
            (str.split, _Index()),
        )

    def add(self, text: str) -> None:
        for cut, index in self._readings:
            index.add(cut(normal(text)))

    def clear(self, text: str) -> bool:
        """Whether no held-out text equals this one, lies in it, holds it, or is near it."""
        spelled = normal(text)
        return not any(index.near(cut(spelled)) for cut, index in self._readings)


class _Index:
    """Lists of words, found by their 5-grams, or by their first word where they are shorter."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, ...], list[int]] = {}
        self._sizes: list[int] = []
        self._texts: list[str] = []
        self._short: dict[str, list[str]] = {}

    def add(self, words: list[str]) -> None:
        if not words:
            return
        grams = _grams(words)
        for gram in grams:
            self._owners.setdefault(gram, []).append(len(self._sizes))
        self._sizes.append(len(grams))
        self._texts.append(_joined(words))
        if len(words) < GRAM:
            self._short.setdefault(words[0], []).append(_joined(words))

    def near(self, words: list[str]) -> bool:
        whole = _joined(words)
        if any(held in whole for word in self._short.keys() & words for held in self._short[word]):
            return True
        grams = _grams(words)
        found = [self._owners[gram] for gram in grams if gram in self._owners]
        for number, count in Counter(chain.from_iterable(found)).items() if found else ():
            held = self._texts[number]
            if count >= LIMIT * (len(grams) + self._sizes[number] - count) or held in whole or whole in held:
                return True
        return False


def _grams(words: list[str]) -> set[tuple[str, ...]]:
    if len(words) < GRAM:
        return {tuple(words)}
    return set(zip(words, words[1:], words[2:], words[3:], words[4:], strict=False))


def _joined(words: list[str]) -> str:
    return f" {' '.join(words)} "
