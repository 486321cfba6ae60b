"""Evidence: every declared comparison with its numbers, the gate, the strategies, what to do.

Owns the page's section of what verdicts rest on. Does not know how they are reached.
"""

from __future__ import annotations

from markupsafe import Markup

from regimen.analysis.recipes import Recipe
from regimen.report.answer_cards import answers
from regimen.report.html_page import render
from regimen.report.plain_table import advice_table
from regimen.report.run_reading import Reading
from regimen.report.section import Section
from regimen.report.tuning_table import tunings


def evidence_section(reading: Reading) -> Section:
    """The section."""
    findings = reading.findings
    by_task: dict[str, list[Recipe]] = {}
    for recipe in findings.recipes:
        by_task.setdefault(reading.plan.study.tasks[recipe.task].title, []).append(recipe)
    context = {
        "reading": reading,
        "missing": bool(reading.tables.missing_cells()),
        "answers": answers(reading),
        "gate": findings.gate,
        "gate_adjust": advice_table(findings.gate.adjust),
        "tunings": tunings(reading),
        "taxonomy": findings.taxonomy,
        "groups": reading.groups,
        "recipes": by_task,
        "budgets": sorted({recipe.budget_gpu_hours for recipe in findings.recipes}),
        "tree": findings.tree,
    }
    return Section("evidence", "Evidence", Markup(render("evidence.html.jinja", context)))
