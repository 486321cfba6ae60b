"""Data and method: the state of the run, rows used and dropped, leakage, provenance, the method in plain words.

Owns the page's section of what the numbers were made from. Does not know scores.
"""

from __future__ import annotations

from markupsafe import Markup

from regimen.report import facts
from regimen.report.html_page import render
from regimen.report.run_reading import Reading
from regimen.report.section import Section


def data_section(reading: Reading) -> Section:
    """The section."""
    context = facts.state_of(reading) | {
        "study": reading.plan.study,
        "prepared": facts.prepared(reading),
        "leaks": facts.leaks(reading),
        "provenance": facts.provenance(reading),
    }
    return Section("data", "Data and method", Markup(render("data.html.jinja", context)))
