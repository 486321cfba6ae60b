"""When a generated text has come to one of its stop strings.

Owns the rule that the decoding loop asks after every token. Does not know tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from regimen.data.chat import template_of
from regimen.data.items import Item
from regimen.evaluation.prompts import Encoder

WINDOW = 32  # tokens looked at; every stop is shorter


def chat_ends(items: Sequence[Item], tokenizer: Encoder) -> frozenset[int]:
    """The ids with which the chat templates of the items close a turn, where one token does."""
    choices = {item.chat_template for item in items if item.conversation is not None}
    closings = {template_of(tokenizer.folder, choice).closing for choice in choices} - {""}
    ids = tokenizer.encode_rendered(sorted(closings)) if closings else []
    return frozenset(one[0] for one in ids if len(one) == 1)


def stop_rule(
    tokenizer: Encoder, stops: Sequence[str], *, blanks_first: bool = False, ends: frozenset[int] = frozenset()
) -> Callable[[Sequence[int]], bool]:
    """Tells if the ids so far hold a stop, as soon as it is there.

    `ends` are ids that end a text by themselves. With `blanks_first`, blanks and line ends before the first other
    character end nothing. Most tokens cannot end a stop: only one that holds the last character of one is decoded with
    those before it.
    """
    lasts = {stop[-1:] for stop in stops}
    enders = None
    if all(last.isascii() and last.strip(" ") for last in lasts):  # others may be spread over ids, or stripped
        enders = frozenset().union(*(tokenizer.ids_holding(last) for last in lasts))

    def stopped(ids: Sequence[int]) -> bool:
        if ids[-1] in ends:
            return True
        if enders is not None and ids[-1] not in enders:
            return False
        text = tokenizer.decode(ids[-WINDOW:])
        if blanks_first:  # a line's end further back was seen before
            text = text.lstrip()
        return any(stop in text for stop in stops)

    return stopped
