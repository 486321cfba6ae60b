"""Regular expressions of a study, matched in time linear in the text, for every expression.

Owns their compilation, by RE2, which has no backtracking and so no look-around and no back-references. Does not know
rows.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import re2

LONGEST = 1000


@cache
def compiled_pattern(text: str) -> Any:
    """The compiled expression; raises ValueError with RE2's reason where it is none."""
    if len(text) > LONGEST:
        raise ValueError(f"a regular expression of {len(text):,} characters; at most {LONGEST:,} are allowed")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as fault:
        reason = fault.args[0]
        reason = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a regular expression that RE2 matches ({reason})") from None


def check_pattern(text: str) -> str:
    """Returns `text` if it is a valid expression, else raises ValueError with the reason."""
    compiled_pattern(text)
    return text
