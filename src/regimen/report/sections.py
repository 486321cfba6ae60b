"""Which sections the page has, in order.

Owns the list. A section is a function of the run; the page knows nothing else of it.
"""

from __future__ import annotations

from regimen.report.appendix_section import appendix_section
from regimen.report.compare_section import compare_section
from regimen.report.curves_section import curves_section
from regimen.report.data_section import data_section
from regimen.report.evidence_section import evidence_section
from regimen.report.items_section import items_section
from regimen.report.overview_section import overview_section
from regimen.report.results_section import results_section
from regimen.report.run_reading import Reading
from regimen.report.section import Builder, Section

SECTIONS: tuple[Builder, ...] = (
    overview_section,
    results_section,
    evidence_section,
    items_section,
    compare_section,
    curves_section,
    data_section,
    appendix_section,
)


def sections_of(reading: Reading) -> list[Section]:
    """The sections that have something to show."""
    return [section for build in SECTIONS if (section := build(reading)) is not None]
