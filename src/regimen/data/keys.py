"""The key by which texts are compared when test items are looked for: looser than the text that duplicates are told by.

Owns what a key leaves out: case, Unicode's variants, invisible characters, URLs, tickers, punctuation and blanks. An
operator between numbers stays, since it makes another sum. Does not know test items, rows or sources.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from regimen.data.cleaning import normalised

SHORTEST = 16  # bytes; a shorter key is compared whole and never looked for inside a longer text
FEWEST_WORDS = 3
_URL = re.compile(r"(?:https?://|www\.)\S+")
_TICKER = re.compile(r"(?<![^\s(])\$[A-Z]{1,6}(?:[.-][A-Z]{1,3})?(?![\w$^+*/=<>\\{-])")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_PUNCTUATION = re.compile("[‘’‚“”„‹›«»–—―…•·′″、。，！？；：「」『』（）【】《》¿¡]")
_BLANK, _NEWLINE = b" \n"
_BLANKED = bytes(c if chr(c).isalnum() or c >= 128 or c == _NEWLINE else _BLANK for c in range(256))
_SIGNS = b"+-*/=<>^"
_POINT = ord(".")


def _table(characters: bytes) -> NDArray[np.bool_]:
    return np.array([c in characters for c in range(256)])


_IS_SIGN, _IS_TIGHT, _IS_NUMBER = _table(_SIGNS), _table(b"-<>"), _table(b"0123456789()")
_IS_DIGIT = _table(b"0123456789")
_IS_OPERAND = _IS_NUMBER | _table(b"abcdefghijklmnopqrstuvwxyz")


def loosened(text: str, normal: str | None = None) -> str:
    """The text normalised (`normal`, if that was done already), without invisible characters, URLs and tickers.

    URLs and tickers stay where little else is left: a row that is an address is that address.
    """
    if not text.isascii() and _INVISIBLE.search(text):
        text, normal = _INVISIBLE.sub("", text), None
    whole = normalised(text) if normal is None else normal
    bare = _TICKER.sub(" ", text) if "$" in text else text
    less = whole if bare is text else normalised(bare)
    if "://" in less or "www." in less:
        less = " ".join(_URL.sub(" ", less).split())
    return less if less is whole or is_long(keys_of([less])[0]) else whole


def is_long(key: bytes) -> bool:
    """True if a text of this key can be looked for inside others."""
    return len(key) >= SHORTEST and key.count(b" ") + 1 >= FEWEST_WORDS


def keys_of(texts: Sequence[str]) -> list[bytes]:
    """The keys of loosened texts: words of letters and digits with one blank between them.

    Each character of a script without blanks (Chinese, Japanese, Thai) is a word. A text of nothing but punctuation
    is its own key. A number keeps its point: 1.5 is one word.
    """
    if not texts:
        return []
    joined = "\n".join(texts)  # no normalised text holds one
    if not joined.isascii():
        joined = _PUNCTUATION.sub(" ", joined.replace("−", "-"))
    plain = joined.encode("utf-8", errors="replace")
    raw = np.frombuffer(plain, np.uint8)
    words = np.frombuffer(plain.translate(_BLANKED), np.uint8)
    signs, points = _signs(raw), _points(raw)
    alone = np.concatenate([signs, *_characters(raw)]) if not joined.isascii() else signs
    if len(signs) or len(points):
        words = words.copy()
        words[signs] = raw[signs]
        words[points] = raw[points]
    if len(alone):
        ends = alone + np.where(raw[alone] < 128, 1, 3)
        words = np.insert(words, np.concatenate([alone, ends]), _BLANK)
    kept = words != _BLANK
    kept[1:] |= words[:-1] > _BLANK  # the first blank after a word
    keys = words[kept].tobytes().replace(b" \n", b"\n").rstrip(b" ").split(b"\n")
    if b"" in keys:
        keys = [key or text.encode("utf-8", errors="replace") for key, text in zip(keys, texts, strict=True)]
    return keys


def _points(raw: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Where a point stands between two digits."""
    places = np.flatnonzero(raw == _POINT)
    places = places[(places > 0) & (places < len(raw) - 1)]
    return places[_IS_DIGIT[raw[places - 1]] & _IS_DIGIT[raw[places + 1]]]


def _signs(raw: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The positions of operators between operands, one of them a number; hyphens inside words ("covid-19") are none."""
    places = np.flatnonzero(_IS_SIGN[raw])
    if not len(places):
        return places
    padded = np.concatenate([[_NEWLINE] * 2, raw, [_NEWLINE] * 2]).astype(np.uint8)
    (left, before), (right, after) = (_beside(padded, places + 2, step) for step in (-1, 1))
    number, operand = _IS_NUMBER[left] | _IS_NUMBER[right], _IS_OPERAND[left] | before
    loose = ~_IS_TIGHT[raw[places]] | ((_IS_NUMBER[left] | before) & (_IS_NUMBER[right] | after))
    return places[number & operand & _IS_OPERAND[right] & loose]


def _beside(
    padded: NDArray[np.uint8], places: NDArray[np.intp], step: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The character beside each place, a blank between them aside, and whether there was a blank."""
    near, far = padded[places + step], padded[places + 2 * step]
    blank = near == _BLANK
    return np.where(blank, far, near), blank


def _characters(raw: NDArray[np.uint8]) -> list[NDArray[np.intp]]:
    """The starts of characters of scripts without blanks: kana, Chinese (E3-E9 in UTF-8), Thai, Lao (E0 B8-BB)."""
    wide = np.flatnonzero((raw >= 0xE3) & (raw <= 0xE9))
    thai = np.flatnonzero(raw[:-1] == 0xE0)
    return [wide, thai[(raw[thai + 1] >= 0xB8) & (raw[thai + 1] <= 0xBB)]]
