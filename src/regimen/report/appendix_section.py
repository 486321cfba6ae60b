"""Appendix: chains, cost against quality, scores by steps with fits, mixtures, time.

Owns the page's section of what no verdict rests on. Does not know how anything was fitted.
"""

from __future__ import annotations

from markupsafe import Markup

from regimen.report import chain_tables, cost_chart, curve_charts, facts
from regimen.report.html_page import render
from regimen.report.plain_table import mixture_table
from regimen.report.run_reading import Reading
from regimen.report.section import Section
from regimen.report.simplex_charts import simplexes


def appendix_section(reading: Reading) -> Section:
    """The section."""
    context = {
        "reading": reading,
        "columns": list(reading.tasks.values()),
        "chains": chain_tables.chains(reading),
        "front": cost_chart.front_chart(reading),
        "fronts": reading.findings.pareto,
        "missing": bool(reading.tables.missing_cells()),
        "scaling": curve_charts.scaling_curves(reading),
        "fits": curve_charts.fits(reading),
        "simplexes": simplexes(reading),
        "mixtures": mixture_table(reading.findings.mixtures),
        "hours": facts.hours(reading),
        "planned": facts.planned_gantt(reading),
        "actual": facts.actual_gantt(reading),
    }
    return Section("appendix", "Appendix", Markup(render("appendix.html.jinja", context)), printed=False)
