"""A user hears of a source that loses many rows, with the reason and what can be done."""

from __future__ import annotations

from regimen.results import PreparedFacts
from regimen.results.losses import warnings_of


def test_over_a_twentieth_of_the_rows_is_worth_a_warning_and_held_out_rows_are_not() -> None:
    drops = {"held out": 60, "duplicate": 5, "empty": 6, "near twin of a test item of t": 12}
    found = warnings_of(PreparedFacts(folder="f", source="s", rows=100, drops=drops))
    assert found == [
        "warning: source 's': 12 of 100 rows are dropped: near twin of a test item of t (a source's `leaks: exact` "
        "drops only rows with the test text itself, `leaks: off` none)",
        "warning: source 's': 6 of 100 rows are dropped: empty",
    ]
