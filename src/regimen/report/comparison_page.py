"""Two experiments side by side as a page of their own: what differs in the recipes, the paired differences by task.

Owns that page and its drawing. Does not know how differences are tested.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from regimen.report.charts import Axis, Mark, Rows, svg_of
from regimen.report.html_page import asset, render
from regimen.report.words import evidence_size, interval, known, probability, signed

ALPHA = 0.05


def comparison_page(found: dict[str, Any]) -> str:
    """The page of what `regimen compare` found; one file without script that needs nothing else."""
    rows = [_row(row) for row in found.get("tasks") or []]
    chart = _chart(found, [row for row in rows if row["tested"]])
    context = {
        "a": str(found.get("a", "")),
        "b": str(found.get("b", "")),
        "recipe": found.get("recipe") or [],
        "rows": rows,
        "chart": Markup(svg_of(chart)) if chart else "",
        "style": Markup(asset("page.css")),
    }
    return render("compare.html.jinja", context)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    p, size = row.get("p_adjusted"), evidence_size(row)
    tested = all(known(row.get(key)) for key in ("estimate", "low", "high")) and bool(size[0])
    return {**row, "tested": tested, "size": size, "is_clear": p is not None and known(p) and p <= ALPHA} | {
        key: row.get(key) for key in ("estimate", "low", "high", "p", "p_adjusted", "test", "mde")
    }


def _chart(found: dict[str, Any], rows: list[dict[str, Any]]) -> Rows | None:
    if not rows:
        return None
    marks = tuple(
        Mark(
            label=f"{row['task']} ({row['metric']})",
            value=row["estimate"],
            low=row["low"],
            high=row["high"],
            strong=row["is_clear"],
            hover=f"{row['task']}: {signed(row['estimate'])} ({interval(row['low'], row['high'])}), "
            f"adjusted p {probability(row['p_adjusted'])}",
        )
        for row in rows
    )
    title = f"{found['a']} less {found['b']}"
    return Rows(
        "comparison", title, f"{title} on {len(marks)} tasks, with intervals", Axis(f"{title}, right is better"), marks
    )
