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
from regimen.analysis.results_table import ResultRow
from regimen.files import write_json, write_text
from regimen.plan import Plan
from regimen.report import cost_chart, curve_charts, facts, paper, score_tables, shell
from regimen.report.answer_cards import answers
from regimen.report.charts import Chart
from regimen.report.html_page import Context, render
from regimen.report.run_reading import Reading, Tell, read, silently
from regimen.report.sections import sections_of
from regimen.report.simplex_charts import simplexes
from regimen.report.transfer_table import transfer_matrix
from regimen.report.tuning_table import tuning_csv, tunings
from regimen.results import RunFolder, layout
from regimen.results.tables import COLUMNS
from regimen.results.tuning import tuning_rows
from regimen.study import dump_study

INPUTS = "inputs.sha256"


def write_report(folder: RunFolder, plan: Plan, *, png: bool = False, tell: Tell = silently) -> Path:
    """Writes the report's files; returns the page's path. `png` also needs a Chromium or Chrome on the machine.

    `tell` gets each step of the work as it begins.
    """
    reading = read(folder, plan, tell=tell)
    tell("drawing the page")
    page = shell.page(title_of(plan), sections_of(reading))
    context = short_context(reading)
    short = render("report.md.jinja", context)
    tell("writing the files")
    folder.report.mkdir(parents=True, exist_ok=True)
    paper.write_paper(folder.report, context, charts_of(reading), png=png)
    write_text(folder.report / layout.TABLE, results_csv(reading.rows))
    if rates := tuning_rows(plan, reading.tables.outcomes):
        write_text(folder.report / layout.TUNING, tuning_csv(rates))
    write_json(folder.report / layout.FINDINGS, reading.findings.to_json())
    write_text(folder.report / layout.SUMMARY, short)
    write_text(folder.report / layout.PAGE, page)
    write_text(folder.report / INPUTS, _inputs(folder, plan) + _page_digest(folder))
    return folder.report / layout.PAGE


def title_of(plan: Plan) -> str:
    """The page's title."""
    return plan.study.title or plan.study.study


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


def short_context(reading: Reading) -> Context:
    """What report.md and tables.tex put into words."""
    findings = reading.findings
    return facts.state_of(reading) | {
        "study": reading.plan.study,
        "plan": reading.plan,
        "alpha": findings.method.alpha,
        "columns": list(reading.tasks.values()),
        "answers": answers(reading),
        "gate": findings.gate,
        "tunings": tunings(reading),
        "taxonomy": findings.taxonomy,
        "tree": findings.tree,
        "leaders": score_tables.leaderboard(reading),
        "tested": score_tables.has_tests(reading),
        "lines": score_tables.lines(reading),
        "scores": score_tables.all_scores(reading),
        "provenance": facts.provenance(reading),
    }


def charts_of(reading: Reading) -> list[Chart]:
    """The charts that are written as files, for papers."""
    answered = [chart for answer in answers(reading) for chart in answer.charts]
    whole = [score_tables.heat_matrix(reading), transfer_matrix(reading), curve_charts.learning_curves(reading)]
    timed = [cost_chart.front_chart(reading), facts.planned_gantt(reading), facts.actual_gantt(reading)]
    several = [*curve_charts.scaling_curves(reading), *simplexes(reading)]
    return [chart for chart in (*answered, *whole, *timed, *several) if chart is not None]
