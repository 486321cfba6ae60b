"""The stop rule ends a text exactly where decoding everything after every token would have ended it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regimen.data.tokenizer import TextTokenizer
from regimen.evaluation.stops import stop_rule

STOPS = (("\n",), ("Question:",), ("\nclass", "\ndef", "\n#"), ("é",), ("?", " "), ("naïve:",))
PIECES = (
    "Question",
    ":",
    "\n",
    " ",
    "  \n",
    "def f",
    "\ndef",
    "a",
    "é",
    "ï",
    "?",
    "na",
    "ve:",
    "class",
    "#",
    "\n\n",
    "7",
)


def first_end(ids: Sequence[int], ends: Sequence[bool]) -> int:
    return next((n for n in range(len(ids)) if ends[n]), len(ids))


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=24).map("".join), st.sampled_from(STOPS), st.booleans())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_is_what_decoding_everything_says(
    tokenizer: TextTokenizer, text: str, stops: tuple[str, ...], blanks: bool
) -> None:
    ids = tokenizer.encode(text)
    rule = stop_rule(tokenizer, stops, blanks_first=blanks)
    whole = [tokenizer.decode(ids[: n + 1]) for n in range(len(ids))]
    seen = [any(stop in (part.lstrip() if blanks else part) for stop in stops) for part in whole]
    end = first_end(ids, seen)
    assert first_end(ids, [rule(ids[: n + 1]) for n in range(len(ids))]) == end


def test_tokens_that_end_no_stop_are_not_decoded(tokenizer: TextTokenizer) -> None:
    class Counting:
        end = tokenizer.end
        folder = tokenizer.folder
        starts = tokenizer.starts
        opening = tokenizer.opening
        prefix = tokenizer.prefix
        encode_many = tokenizer.encode_many
        encode_whole = tokenizer.encode_whole
        encode_pairs = tokenizer.encode_pairs
        encode_rendered = tokenizer.encode_rendered
        ids_holding = tokenizer.ids_holding
        decoded = 0

        def decode(self, ids: Sequence[int]) -> str:
            self.decoded += 1
            return tokenizer.decode(ids)

    counting = Counting()
    rule = stop_rule(counting, ("\n",))
    ids = tokenizer.encode("a line of words without an end")
    assert not any(rule(ids[: n + 1]) for n in range(len(ids)))
    assert counting.decoded == 0
    assert rule([*ids, *tokenizer.encode("\n")])
    assert counting.decoded == 1
