"""The rows that a source lost, and the warning when they are many.

Owns the limit and the sentences. Does not know how rows are read or dropped.
"""

from __future__ import annotations

from regimen.results.facts import PreparedFacts

SHARE = 0.05  # more of a source's rows than this, dropped for one reason, are worth a warning
LEAKS = "test item of"  # stands in every reason that says a row held a test item
INTENDED = frozenset({"held out", "validated on"})


def warnings_of(facts: PreparedFacts) -> list[str]:
    """A sentence for each reason for which over 5% of a source's rows were dropped, the intended ones apart."""
    lost = [(n, reason) for reason, n in facts.drops.items() if n > SHARE * facts.rows and reason not in INTENDED]
    return [
        f"warning: source {facts.source!r}: {count:,} of {facts.rows:,} rows are dropped: {reason}{remedy(reason)}"
        for count, reason in sorted(lost, reverse=True)
    ]


def remedy(reason: str) -> str:
    """The remedies for rows that were dropped because they hold a test item."""
    if LEAKS not in reason:
        return ""
    return " (a source's `leaks: exact` drops only rows with the test text itself, `leaks: off` none)"
