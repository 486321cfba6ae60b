"""Charts: drawn once, as SVG for the page, for print and for papers.

Owns the drawing. Does not know runs or findings.
"""

from regimen.report.charts.shapes import Axis, Bar, Chart, Gantt, Lines, Mark, Matrix, Rows, Series, Ternary
from regimen.report.charts.svg import svg_of

__all__ = ["Axis", "Bar", "Chart", "Gantt", "Lines", "Mark", "Matrix", "Rows", "Series", "Ternary", "svg_of"]
