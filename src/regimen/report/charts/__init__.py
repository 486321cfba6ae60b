"""Charts: what is drawn, once; as plotly for the screen and as SVG for print and papers.

Owns the two renderings. Does not know runs or findings.
"""

from regimen.report.charts.plotly_form import plotly_of
from regimen.report.charts.shapes import Axis, Bar, Chart, Gantt, Lines, Mark, Matrix, Rows, Series, Ternary
from regimen.report.charts.svg import svg_of

__all__ = [
    "Axis",
    "Bar",
    "Chart",
    "Gantt",
    "Lines",
    "Mark",
    "Matrix",
    "Rows",
    "Series",
    "Ternary",
    "plotly_of",
    "svg_of",
]
