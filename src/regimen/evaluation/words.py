"""Words of any script, for the metrics that compare texts word by word.

Owns what a word is: letters, digits and their marks; a character of a script that is written without blanks (Chinese,
Japanese, Thai, Lao, Khmer, Burmese, Tibetan) is a word by itself. Of plain ASCII text the words are rouge-score's own.
Does not know metrics.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import regex

_BLANKLESS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_WORD = regex.compile(rf"(?V1)[{_BLANKLESS}]\p{{M}}*|[[\p{{L}}\p{{N}}\p{{M}}]--[{_BLANKLESS}]]+")
_ALONE = regex.compile(rf"[{_BLANKLESS}]\p{{M}}*")
_INVISIBLE = regex.compile(r"\p{Cf}")


class Words:
    """A tokenizer for rouge-score: English words stemmed (Porter), others as they are, in lower case.

    A text without any word is compared character by character.
    """

    def tokenize(self, text: str) -> list[str]:
        """The words of a text, in order."""
        if text.isascii():
            words = _english().tokenize(text)
        else:
            folded = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
            parts = _WORD.findall(folded)
            words = [word for raw in parts for word in (_english().tokenize(raw) if raw.isascii() else [raw])]
        return words or list("".join(text.split()))


def spaced(text: str) -> str:
    """The text with a blank around every character of a script without blanks; others are left as they are."""
    return text if text.isascii() else _ALONE.sub(r" \g<0> ", unicodedata.normalize("NFC", text))


@cache
def _english():
    from rouge_score.tokenizers import DefaultTokenizer

    return DefaultTokenizer(use_stemmer=True)
