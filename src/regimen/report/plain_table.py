"""Tables of plain cells: the responses to mixtures, and the changes that the gate suggests.

Owns their columns. Does not know what the numbers mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.advice import Adjustment
from regimen.analysis.mixture_responses import MixtureResponse
from regimen.report.words import NOT_YET

MOST_EFFECTS = 4  # more sources than these do not fit a cell


@dataclass(frozen=True)
class PlainCell:
    """A cell's words; `number`: they stand to the right."""

    words: str
    number: bool = False


@dataclass(frozen=True)
class PlainTable:
    """Titles of the columns, and rows of as many cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[PlainCell]]


def mixture_table(responses: Sequence[MixtureResponse]) -> PlainTable | None:
    """A row a regression; None while there is none. Effects are shown where some are few enough for a cell."""
    if not responses:
        return None
    columns = ["kind", "steps", "task", "mixtures", "loo rmse", "mean rmse", "beats mean"]
    rows = [
        [
            PlainCell(one.kind),
            PlainCell(f"{one.steps:,}", number=True),
            PlainCell(one.task),
            PlainCell(f"{one.mixtures:,}", number=True),
            PlainCell(f"{one.loo_rmse:.4g}", number=True),
            PlainCell(f"{one.mean_rmse:.4g}", number=True),
            PlainCell("yes" if one.beats_mean else "no"),
        ]
        for one in responses
    ]
    if any(one.effects and len(one.effects) <= MOST_EFFECTS for one in responses):
        columns.append("effects")
        for row, one in zip(rows, responses, strict=True):
            words = ", ".join(f"{source} {effect:.4g}" for source, effect in (one.effects or {}).items())
            row.append(PlainCell(words or NOT_YET))
    return PlainTable(columns, rows)


def advice_table(adjustments: Sequence[Adjustment]) -> PlainTable | None:
    """A row a change to the study; None where none is suggested."""
    if not adjustments:
        return None
    return PlainTable(("field", "what", "change", "evidence"), [_advice(one) for one in adjustments])


def _advice(one: Adjustment) -> list[PlainCell]:
    if isinstance(one.change, float | int):
        change = PlainCell(f"{one.change:+.3f}", number=True)
    else:
        change = PlainCell(", ".join(one.change))
    return [PlainCell(one.field), PlainCell(one.what), change, PlainCell(one.evidence)]
