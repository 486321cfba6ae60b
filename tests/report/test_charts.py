"""Charts: well-formed drawings, round ticks, readable colours, text that stays text."""

from __future__ import annotations

import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.report.charts import (
    Axis,
    Bar,
    Chart,
    Gantt,
    Lines,
    Mark,
    Matrix,
    Rows,
    Series,
    Ternary,
    svg_of,
)
from regimen.report.charts.scales import Scale
from regimen.report.charts.shapes import DIVERGING, SEQUENTIAL, colour_at, ink_on
from tests.support.made_reports import HOSTILE

SVG = "{http://www.w3.org/2000/svg}"
CHARTS: list[Chart] = [
    Lines(
        "lines", HOSTILE, HOSTILE, Axis(HOSTILE, log=True), Axis("loss", log=True),
        (
            Series(HOSTILE, (1, 10, 100), (3.0, 2.0, 1.0), hover=(HOSTILE,) * 3, links=("x-a",) * 3),
            Series("b", (1, 100), (2.0, 1.5), "both", low=(1.9, None), high=(2.2, None), links=('"><b', "x-b")),
            Series("c", (1, 100), (2.0, 1.5), low=(1.9, 1.0), high=(2.2, 1.8), band=True),
        ),
    ),
    Rows("rows", "t", "a", Axis("x"), (Mark(HOSTILE, 0.1, -0.1, 0.3, hover=HOSTILE), Mark("b", 0.2, None, None, True))),
    Gantt("gantt", "t", "a", Axis("h"), (Bar(HOSTILE, 0, 2, "1", "x-a"), Bar("b", 1, 3, "2")), ("1", "2")),
    Ternary(
        "mix", "t", "a", (HOSTILE, "b", "c"), ((1, 0, 0), (0.2, 0.3, 0.5)), (1.0, 2.0), (HOSTILE, "q"), ("", ""), "p",
    ),
    Matrix("matrix", "t", "a", (HOSTILE, "b"), ("c",), ((0.2,), (None,)), (("+20*",), (HOSTILE,))),
]  # fmt: skip


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
@pytest.mark.parametrize("standalone", [True, False])
def test_a_drawing_is_well_formed_and_names_what_it_shows(chart: Chart, standalone: bool) -> None:
    root = ElementTree.fromstring(svg_of(chart, standalone=standalone))
    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label") == chart.alt
    assert root.get("role") == ("group" if list(root.iter(f"{SVG}a")) else "img"), "a picture's inside is not reached"
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "style", "rect", "text", "line", "polyline", "polygon", "circle", "a", "g",
    }  # fmt: skip
    assert bool(list(root.iter(f"{SVG}a"))) is (not standalone and chart.name in ("lines", "gantt"))


def test_marks_stand_where_their_numbers_say() -> None:
    scale = Scale([0.0, 10.0], 0.0, 100.0)
    assert scale(5.0) == pytest.approx(50.0)
    assert scale(10.0) - scale(0.0) == pytest.approx(100 / 1.08)
    log = Scale([1.0, 100.0], 0.0, 100.0, log=True)
    assert log(10.0) == pytest.approx(50.0)


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=1, max_size=8), st.booleans())
def test_ticks_are_inside_in_order_and_few(values: list[float], log: bool) -> None:
    scale = Scale(values, 0.0, 100.0, log)
    ticks = [value for value, _ in scale.ticks()]
    assert len(ticks) <= 14
    assert all(one < other for one, other in pairwise(ticks))
    assert all(-1e-6 <= scale(value) <= 100 + 1e-6 for value in ticks)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scale", [DIVERGING, SEQUENTIAL])
def test_text_on_every_colour_of_a_scale_has_contrast(scale: tuple[tuple[float, str], ...]) -> None:
    for step in range(101):
        ground = colour_at(scale, step / 100)
        one, other = sorted((luminance(ground), luminance(ink_on(ground))))
        assert (other + 0.05) / (one + 0.05) >= 4.5, (step, ground)


def test_better_and_worse_differ_for_colour_blind_eyes() -> None:
    """Blue and orange lie far apart in the blue-yellow direction, which red-green blindness keeps."""
    for amount in (0.25, 0.5, 1.0):
        better, worse = colour_at(DIVERGING, 0.5 + amount / 2), colour_at(DIVERGING, 0.5 - amount / 2)
        assert int(better[5:7], 16) - int(worse[5:7], 16) > 40


def test_scales_survive_what_is_not_a_number() -> None:
    assert Scale([math.nan, math.inf], 0, 1).ticks()
    assert Scale([0.0, -1.0], 0, 1, log=True).ticks()
