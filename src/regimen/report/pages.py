"""The report of a run: one offline HTML page, and the same numbers as CSV, JSON and Markdown.

Owns OUT/report/. It only reads; it works on a half-finished run and says "not yet". Does not know how anything was
computed.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from regimen.analysis.findings import findings
from regimen.files import write_json, write_text
from regimen.report import figures
from regimen.results import better_sign
from regimen.results.status import run_status
from regimen.results.tables import COLUMNS, RunTables

if TYPE_CHECKING:
    from regimen.plan import Plan
    from regimen.results import RunFolder


def write_report(folder: RunFolder, plan: Plan) -> Path:
    """Writes index.html, results.csv, findings.json and report.md; returns the page's path."""
    tables = RunTables(folder, plan)
    found = findings(tables)
    folder.report.mkdir(parents=True, exist_ok=True)
    write_text(folder.report / "results.csv", results_csv(tables))
    write_json(folder.report / "findings.json", found)
    context = page_context(tables, found)
    write_text(folder.report / "report.md", _render("report.md.jinja", context))
    write_text(folder.report / "index.html", _render("report.html.jinja", context | _figures(tables)))
    return folder.report / "index.html"


def results_csv(tables: RunTables) -> str:
    """The rows of results.csv; floats with ten significant digits, missing values empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in tables.rows():
        values = [row[column] for column in COLUMNS]
        writer.writerow([f"{value:.10g}" if isinstance(value, float) else value for value in values])
    return out.getvalue()


def page_context(tables: RunTables, found: dict[str, Any]) -> dict[str, Any]:
    """Everything the templates put into words."""
    status = run_status(tables.folder, tables.plan)
    return {
        "study": tables.plan.study,
        "plan": tables.plan,
        "totals": tables.plan.totals,
        "status": status,
        "findings": found,
        "leaders": leaderboard(tables),
        "tasks": tables.plan.study.panel("main"),
        "experiments": [_experiment_row(tables, planned.experiment.id) for planned in tables.plan.experiments],
        "missing": tables.missing_cells(),
        "skipped": sorted({cell.skipped for cell in tables.cells.values() if cell.skipped}),
    }


def _experiment_row(tables: RunTables, name: str) -> dict[str, Any]:
    planned = next(p for p in tables.plan.experiments if p.experiment.id == name)
    cells = {}
    for task in planned.evaluations:
        cell = tables.cells.get((name, task))
        if cell is None:
            cells[task] = "not yet"
        elif cell.skipped:
            cells[task] = "skipped"
        else:
            value = cell.metrics.get(cell.headline)
            cells[task] = "no value" if value is None else f"{value:.3f}"
    return {"experiment": planned.experiment, "steps": planned.steps, "cells": cells, "hours": planned.gpu_hours}


def leaderboard(tables: RunTables) -> list[dict[str, Any]]:
    """Experiments by their mean change against zero-shot over the main tasks that have both values, best first."""
    rows = []
    tasks = tables.plan.study.panel("main")
    for planned in tables.plan.experiments:
        changes = {}
        for name, task in tasks.items():
            cell, zero = tables.cells.get((planned.experiment.id, name)), tables.zero_shot(name)
            if cell and zero and task.headline in cell.metrics and task.headline in zero.metrics:
                change = cell.metrics[task.headline] - zero.metrics[task.headline]
                changes[name] = change * better_sign(task.headline)
        if planned.experiment.legs and changes:
            best = max(changes, key=lambda name: changes[name])
            worst = min(changes, key=lambda name: changes[name])
            rows.append(
                {
                    "experiment": planned.experiment.id,
                    "mean": sum(changes.values()) / len(changes),
                    "tasks": len(changes),
                    "best": (tasks[best].title, changes[best]),
                    "worst": (tasks[worst].title, changes[worst]),
                    "hours": planned.gpu_hours,
                }
            )
    return sorted(rows, key=lambda row: -row["mean"])


def _figures(tables: RunTables) -> dict[str, Any]:
    from plotly.offline import get_plotlyjs

    drawn = {
        "heat": figures.heat_map(tables),
        "curves": figures.learning_curves(tables),
        "planned": figures.planned_gantt(tables),
        "actual": figures.actual_gantt(tables),
    }
    # "</" would end the script element that holds the JSON
    text = {name: json.dumps(figure).replace("</", "<\\/") for name, figure in drawn.items() if figure is not None}
    return {"figures": text, "plotly": get_plotlyjs()}


def _render(template: str, context: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("regimen.report", "templates"),
        autoescape=template.endswith(".html.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["points"] = lambda value: f"{100 * value:+.1f}"
    return environment.get_template(template).render(context)
