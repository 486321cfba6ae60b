"""Items: every item of a task with the answers of chosen experiments, right or wrong, and each in full on a click.

Owns the section. Does not know how answers are read, nor how many a page carries.
"""

from __future__ import annotations

from markupsafe import Markup

from regimen.report.html_page import render
from regimen.report.item_answers import BUDGET, task_answers
from regimen.report.run_reading import Reading
from regimen.report.section import Section


def items_section(reading: Reading) -> Section | None:
    """The section; None before anything was scored."""
    tasks = task_answers(reading, BUDGET)
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
