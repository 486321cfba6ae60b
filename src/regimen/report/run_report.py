"""The report of a run: one offline HTML page, the same as Markdown, CSV, JSON and LaTeX, figures for a paper.

Owns OUT/report/. It only reads the run; it works on a half-finished one and says "not yet". The same run gives the
same bytes. Does not know how anything was computed.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from regimen import __version__
from regimen.analysis.recipes import Recipe
from regimen.analysis.results_table import ResultRow
from regimen.files import write_json, write_text
from regimen.plan import Plan
from regimen.report import chain_tables, cost_chart, curve_charts, facts, paper, score_tables
from regimen.report.answer_cards import answers
from regimen.report.charts import Chart
from regimen.report.experiment_cards import experiment_cards
from regimen.report.html_page import Context, render, render_page
from regimen.report.plain_table import advice_table, mixture_table
from regimen.report.run_reading import Reading, Tell, read, silently
from regimen.report.simplex_charts import simplexes
from regimen.report.transfer_table import transfer, transfer_matrix
from regimen.results import RunFolder, layout
from regimen.results.tables import COLUMNS
from regimen.study import dump_study

INPUTS = "inputs.sha256"


def write_report(folder: RunFolder, plan: Plan, *, png: bool = False, tell: Tell = silently) -> Path:
    """Writes the report's files; returns the page's path. `png` also needs a Chromium or Chrome on the machine.

    `tell` gets each step of the work as it begins.
    """
    reading = read(folder, plan, tell=tell)
    tell("drawing the page")
    context = page_context(reading)
    page, short = render_page(context), render("report.md.jinja", context)
    tell("writing the files")
    folder.report.mkdir(parents=True, exist_ok=True)
    paper.write_paper(folder.report, context, charts_of(context), png=png)
    write_text(folder.report / layout.TABLE, results_csv(reading.rows))
    write_json(folder.report / layout.FINDINGS, reading.findings.to_json())
    write_text(folder.report / layout.SUMMARY, short)
    write_text(folder.report / layout.PAGE, page)
    write_text(folder.report / INPUTS, _inputs(folder, plan) + _page_digest(folder))
    return folder.report / layout.PAGE


def up_to_date_report(folder: RunFolder, plan: Plan, *, tell: Tell = silently) -> Path:
    """The page's path; the report is written only if its study, plan, stages or version are not those of the last, or
    it is not as it was written."""
    page, inputs = folder.report / layout.PAGE, folder.report / INPUTS
    if (
        page.is_file()
        and inputs.is_file()
        and inputs.read_text(encoding="utf-8") == _inputs(folder, plan) + _page_digest(folder)
    ):
        return page
    return write_report(folder, plan, tell=tell)


def _inputs(folder: RunFolder, plan: Plan) -> str:
    """A digest of what a report is made from: which stages are done, of which plan, by which version."""
    parts = [__version__, dump_study(plan.study), repr(plan.options)]
    for stage in plan.stages.values():
        place = folder.folder(stage)
        outcome = place.path / layout.OUTCOME
        known = folder.digests.of(outcome) if place.done and outcome.is_file() else "missing"
        parts.append(f"{place.path.name} {known}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() + "\n"


def _page_digest(folder: RunFolder) -> str:
    return folder.digests.of(folder.report / layout.PAGE) + "\n"


def results_csv(rows: Sequence[ResultRow]) -> str:
    """The rows of results.csv; floats with ten significant digits, missing values empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = [getattr(row, column) for column in COLUMNS]
        writer.writerow([f"{value:.10g}" if isinstance(value, float) else value for value in values])
    return out.getvalue()


def page_context(reading: Reading) -> Context:
    """Everything that the templates put into words."""
    return {
        "study": reading.plan.study,
        "plan": reading.plan,
        "totals": reading.plan.totals,
        "status": reading.status,
        "damaged": facts.damaged(reading),
        "phases": [(name, _phase_title(reading, name)) for name in reading.phases],
        "groups": reading.groups,
        "anchors": reading.anchors,
        "alpha": reading.findings.method.alpha,
        "columns": list(reading.tasks.values()),
        **_findings(reading),
        **_scored(reading),
        **_ran(reading),
        "sections": experiment_cards(reading),
        "missing": len(reading.tables.missing_cells()),
        "without_value": [
            f"{metric} of {cell.experiment} on {cell.key}: {why}"
            for cell in reading.tables.cells.values()
            for metric, why in cell.without_value.items()
        ],
        "skipped": sorted({cell.skipped for cell in reading.tables.cells.values() if cell.skipped}),
    }


def _findings(reading: Reading) -> Context:
    """The parts of the page that show findings."""
    findings, moved = reading.findings, transfer(reading)
    by_task: dict[str, list[Recipe]] = {}
    for recipe in findings.recipes:
        by_task.setdefault(reading.plan.study.tasks[recipe.task].title, []).append(recipe)
    return {
        "answers": answers(reading),
        "gate": findings.gate,
        "gate_adjust": advice_table(findings.gate.adjust),
        "taxonomy": findings.taxonomy,
        "recipes": by_task,
        "budgets": sorted({recipe.budget_gpu_hours for recipe in findings.recipes}),
        "tree": findings.tree,
        "transfer": moved,
        "transfer_chart": transfer_matrix(moved),
        "chains": chain_tables.chains(reading),
        "simplexes": simplexes(reading),
        "mixtures": mixture_table(findings.mixtures),
        "front": cost_chart.front_chart(reading),
        "fronts": findings.pareto,
    }


def _scored(reading: Reading) -> Context:
    """Scores: the heat map, the leaderboard, lines beside them, every value; curves."""
    rows = score_tables.heat(reading)
    return {
        "heat": rows,
        "tested": score_tables.has_tests(reading),
        "heat_chart": score_tables.heat_matrix(reading, rows),
        "leaders": score_tables.leaderboard(reading),
        "lines": score_tables.lines(reading),
        "scores": score_tables.all_scores(reading),
        "learning": curve_charts.learning_curves(reading),
        "scaling": curve_charts.scaling_curves(reading),
        "fits": curve_charts.fits(reading),
    }


def _ran(reading: Reading) -> Context:
    """What ran, on which rows, for how long."""
    return {
        "planned": facts.planned_gantt(reading),
        "actual": facts.actual_gantt(reading),
        "hours": facts.hours(reading),
        "prepared": facts.prepared(reading),
        "leaks": facts.leaks(reading),
        "refused": facts.refused(reading),
        "provenance": facts.provenance(reading),
    }


def _phase_title(reading: Reading, name: str) -> str:
    phase = reading.plan.study.phases.get(name)
    return phase.title if phase else ""


def charts_of(context: Context) -> list[Chart]:
    """The charts that are also written as files."""
    one = [context["heat_chart"], context["transfer_chart"], context["learning"], context["front"], context["planned"]]
    one.append(context["actual"])
    several = [answer.chart for answer in context["answers"]]
    return [chart for chart in (*several, *one, *context["scaling"], *context["simplexes"]) if chart is not None]
