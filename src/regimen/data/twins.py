"""Tells if a small difference makes another text: a number, a negation, a variable.

Owns which words tell two texts apart. Does not know test items or how texts were found alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

_NEGATIONS = frozenset(
    """
    not no never none nor neither without cannot cant dont doesnt didnt isnt wasnt arent wont t
    nicht kein keine keinen nie ohne pas non jamais sans sin nunca не нет ни без 不 没 沒 無 无 未 非
    """.split()  # noqa: SIM905 (a list of words is read as words); "t" is what an apostrophe leaves of "don't"
)
_NUMBERS = frozenset(
    """
    zero two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion
    """.split()  # noqa: SIM905
)


def is_telling_apart(test: Sequence[bytes], stretch: Sequence[bytes]) -> bool:
    """True if the differences between a stretch of text and a test text make them two texts.

    Both are words of keys; the stretch may go beyond the test text on either side.
    """
    blocks = SequenceMatcher(None, test, stretch, autojunk=False).get_matching_blocks()[:-1]
    if not blocks:
        return True
    first, last = blocks[0], blocks[-1]
    b = max(0, first.b - first.a)  # where the test text would begin, had it no word more or less before that
    end = last.b + last.size + (len(test) - last.a - last.size)
    a = 0
    for block in blocks:
        if _differ(test[a : block.a], stretch[b : block.b]):
            return True
        a, b = block.a + block.size, block.b + block.size
    return _differ(test[a:], stretch[b:end])


def _differ(one: Sequence[bytes], other: Sequence[bytes]) -> bool:
    """True if two pieces in the same place differ in a negation, or in numbers, operators and variables.

    A word with a number in its place is a changed word; a number in the place of another, or of nothing, and a letter
    in the place of another are a change of numbers and variables.
    """
    words = [[word.decode("utf-8", errors="replace") for word in side] for side in (one, other)]
    if words[0] == words[1]:
        return False
    if any(word in _NEGATIONS for side in words for word in side):
        return True
    signs = [[word for word in side if _is_sign(word)] for side in words]
    if signs[0] == signs[1]:
        return False
    return all(signs) or all(_is_number(word) for side in words for word in side)


def _is_sign(word: str) -> bool:
    """A number, an operator or a variable."""
    return _is_number(word) or (len(word) == 1 and word.isascii())


def _is_number(word: str) -> bool:
    """A number or an operator; a letter by itself may be left out ("a", "s" after an apostrophe)."""
    return word[0].isdecimal() or word in _NUMBERS or (len(word) == 1 and word.isascii() and not word.isalpha())
