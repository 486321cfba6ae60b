"""Which sections the page has, in order.

Owns the list. A section is a function of the run; the page knows nothing else of it.
"""

from __future__ import annotations

from regimen.report.results_section import results_section
from regimen.report.run_reading import Reading
from regimen.report.section import Builder, Section

SECTIONS: tuple[Builder, ...] = (results_section,)


def sections_of(reading: Reading) -> list[Section]:
    """The sections that have something to show."""
    return [section for build in SECTIONS if (section := build(reading)) is not None]
