"""A table and how its rows are made: drawn one by one, kept apart from what is held out.

Owns the loop of drawing and refusing. Knows no words; what is drawn comes from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from regimen.data.miniature.chance import Chance
from regimen.data.miniature.separation import Separation, normal

Row = dict[str, Any]
Draw = Callable[[Chance], list[Row]]
"""Draws one unit: the rows that belong together (the turns of a dialogue, the questions of a context)."""

Texts = Callable[[Row], Iterable[str]]
"""The texts of a row that must be found on one side of a split only."""

_PATIENCE = 400


def columns(*names: str) -> Texts:
    """The texts of a row: these columns."""
    return lambda row: [str(row[name]) for name in names]


def collect(draw: Draw, count: int, seed: str, texts: Texts, held: Separation, *, hold: bool) -> list[Row]:
    """At least `count` rows in whole units, each clear of `held` and none a repeat.

    With `hold` the rows are held out: each unit's texts join `held`, so that all units differ from each other.
    Raises RuntimeError where the templates cannot give that many.
    """
    chance = Chance(seed)
    rows: list[Row] = []
    seen: set[str] = set()
    refused = 0
    while len(rows) < count:
        unit = draw(chance)
        keys = {normal(" \n ".join(texts(row))) for row in unit} - {""}
        mine = list(dict.fromkeys(text for row in unit for text in texts(row)))
        if seen.isdisjoint(keys) and all(map(held.clear, mine)):
            refused = 0
            seen.update(keys)
            rows += unit
            for text in mine if hold else ():
                held.add(text)
        elif (refused := refused + 1) > _PATIENCE:
            raise RuntimeError(f"{seed}: {len(rows)} of {count} rows after {refused} refusals; widen its templates")
    return rows
