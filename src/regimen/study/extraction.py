"""The part of an answer that a task's regular expression reads out, in bounded time.

Owns the check of a pattern when a study is loaded, and its search. Patterns come from strangers and texts from models,
so a search that takes longer than SECONDS is an error rather than a hanging run. Does not know tasks.
"""

from __future__ import annotations

from functools import cache

from regimen.errors import DataError

SECONDS = 2.0  # for one text; an ordinary pattern takes microseconds
MAX_PATTERN = 1000  # characters


def check_pattern(pattern: str) -> None:
    """Raises ValueError unless the pattern is a regular expression of at most the allowed length."""
    import regex

    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"the pattern has {len(pattern):,} characters, the limit is {MAX_PATTERN:,}")
    try:
        _compiled(pattern)
    except regex.error as fault:
        raise ValueError(f"{pattern!r} is not a regular expression ({fault})") from None


def extracted(pattern: str, text: str) -> str | None:
    """The first group of the first match (the whole match where there is no group), without blanks around it.

    None where nothing matches. Raises DataError for a pattern that takes too long.
    """
    compiled = _compiled(pattern)
    try:
        match = compiled.search(text, timeout=SECONDS)
    except TimeoutError:
        raise DataError(
            f"the pattern {pattern!r} takes over {SECONDS:g} s for a text of {len(text):,} characters; write it "
            "without repetitions inside repetitions"
        ) from None
    if match is None:
        return None
    answer = match[1] if compiled.groups else match[0]
    return None if answer is None else answer.strip()


@cache
def _compiled(pattern: str):
    import regex

    return regex.compile(pattern)
