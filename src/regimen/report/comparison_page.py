"""Two experiments side by side as a page of their own: differences of the recipes, paired differences by task.

Owns that page and its drawing. Does not know how differences are tested.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from regimen.analysis.experiment_comparison import ExperimentComparison, TaskDifference
from regimen.report.charts import Axis, Mark, Rows, svg_of
from regimen.report.html_page import render
from regimen.report.shell import text_of
from regimen.report.words import interval, probability, signed


def comparison_page(found: ExperimentComparison) -> str:
    """The page of `regimen compare`; one file without script that needs nothing else."""
    chart = _chart(f"{found.a} less {found.b}", found.tasks)
    context = {
        "found": found,
        "chart": Markup(svg_of(chart)) if chart else "",
        "style": Markup(text_of("browser", "shell.css")),
    }
    return render("compare.html.jinja", context)


def _chart(title: str, rows: Sequence[TaskDifference]) -> Rows | None:
    marks = tuple(
        Mark(
            label=f"{row.task} ({row.metric})",
            value=tested.estimate,
            low=tested.low,
            high=tested.high,
            strong=tested.is_clear,
            hover=f"{row.task}: {signed(tested.estimate)} ({interval(tested.low, tested.high)}), "
            f"adjusted p {probability(tested.p_adjusted)}",
        )
        for row in rows
        if (tested := row.comparison)
    )
    if not marks:
        return None
    axis = Axis(f"{title}, right is better")
    return Rows("comparison", title, f"{title} on {len(marks)} tasks, with intervals", axis, marks)
