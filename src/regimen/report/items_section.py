"""Items: every item of a task with the answers of chosen experiments, right or wrong, and each in full on a click.

Owns the section. Does not know how answers are read, nor how many a page carries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from regimen.report.html_page import render
from regimen.report.item_answers import BUDGET, task_answers
from regimen.report.run_reading import RunReading
from regimen.report.scored_ends import Scored, scored_ends
from regimen.report.section import Section
from regimen.study.tasks import Task


def items_section(reading: RunReading) -> Section | None:
    """The section; None before anything was scored."""
    return items_of(reading.plan.study.tasks, scored_ends(reading))


def items_of(known: Mapping[str, Task], ends: Sequence[Scored]) -> Section | None:
    """The section for the answers of these end points on these tasks; None where there are none."""
    tasks = task_answers(known, ends, BUDGET)
    if not tasks:
        return None
    blocks: dict[str, object] = {f"items-{place}": task for place, task in enumerate(tasks)}
    counts = [
        {"id": task.id, "title": task.title, "total": task.total, "carried": len(task.items), "ends": len(task.ends)}
        for task in tasks
    ]
    return Section(
        name="items",
        title="Items",
        html=Markup(render("items.html.jinja", {"tasks": counts})),
        blocks={"items": counts, **blocks},
        script="items.js",
        libraries=("tabulator",),
        printed=False,
    )
