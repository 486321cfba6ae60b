"""What a plan's contrasts can tell, on a terminal: each by itself where there are few, else a row for each question.

Owns the drawing. Does not know how effects are computed.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from regimen.plan.power import ContrastPower, assumed

FEW = 6  # contrasts that are shown one by one


def power_view(power: Sequence[ContrastPower]) -> list[RenderableType]:
    """The lines, none where the plan has no whole contrast."""
    if not power:
        return []
    if len(power) <= FEW:
        return [Text("\n".join(["What the contrasts can tell", *(one.statement for one in power), assumed()]))]
    table = Table(title="What the contrasts can tell", title_justify="left")
    table.add_column("question")
    for name in ("contrasts", "tell their margin", "effects found", "margins"):
        table.add_column(name, justify="right")
    table.add_column("needed by the median of the others", overflow="fold")
    for question in dict.fromkeys(one.question for one in power):
        table.add_row(question, *_row([one for one in power if one.question == question]))
    return [table, Text(f"{assumed()} `--json` has every contrast.")]


def _row(power: Sequence[ContrastPower]) -> list[str]:
    effects = [one.detectable for one in power if one.detectable is not None]
    margins = [one.margin for one in power if one.margin is not None]
    short = sorted((one for one in power if one.need), key=lambda one: one.needed_items or 10**9)
    able = sum(one.can_tell is True for one in power)
    return [str(len(power)), str(able), _span(effects), _span(margins), short[len(short) // 2].need if short else ""]


def _span(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low}-{high}"
