"""The small pictures of the overview: the intervals of an answer, and a task's scores by strategy beside its floors.

Owns their drawing. Colours come from the page's style sheet, so that they follow light, dark and print. Does not know
where numbers come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from regimen.analysis.headlines import IntervalPlot, PlotRow
from regimen.report.charts.scales import Scale, words
from regimen.report.words import number, signed

ROW_WIDTH, ROW_HEIGHT = 130.0, 18.0
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 200.0, 132.0, 30.0, 15.0, 6.0


@dataclass(frozen=True)
class IntervalRow:
    """An interval of a card: its label, its numbers in words, and its picture."""

    label: str
    says: str
    picture: Markup


def interval_rows(plot: IntervalPlot, titles: dict[str, str], most: int) -> list[IntervalRow]:
    """The first intervals of an answer on one scale; `titles` gives names for ids."""
    ends = [end for row in plot.rows for end in (row.low, row.high)]
    margin = plot.margin or 0.0
    scale = Scale([*ends, plot.line - margin, plot.line + margin], 3.0, ROW_WIDTH - 3.0)
    return [_row(plot, row, titles.get(row.key, row.label), scale) for row in plot.rows[:most]]


def _row(plot: IntervalPlot, row: PlotRow, label: str, scale: Scale) -> IntervalRow:
    says = f"{label}: {signed(row.estimate)} ({signed(row.low)} to {signed(row.high)}), {row.outcome}"
    parts, y = [], ROW_HEIGHT / 2
    if plot.margin:
        left, right = scale(plot.line - plot.margin), scale(plot.line + plot.margin)
        parts.append(f'<rect class="band" x="{left:.1f}" y="0" width="{right - left:.1f}" height="{ROW_HEIGHT:g}"/>')
    parts.append(f'<line class="zero" x1="{scale(plot.line):.1f}" x2="{scale(plot.line):.1f}" y1="0" y2="18"/>')
    kind = f"o-{row.outcome}"
    parts.append(f'<line class="{kind}" x1="{scale(row.low):.1f}" x2="{scale(row.high):.1f}" y1="{y}" y2="{y}"/>')
    parts.append(f'<circle class="{kind}" cx="{scale(row.estimate):.1f}" cy="{y}" r="4"/>')
    return IntervalRow(label, says, _svg(ROW_WIDTH, ROW_HEIGHT, says, parts))


@dataclass(frozen=True)
class StrategyScores:
    """A strategy's experiments on a task: the best score and the mean of `count`; `who` is the best one's id."""

    letter: str
    colour: int
    name: str
    best: float
    mean: float
    count: int
    who: str


@dataclass(frozen=True)
class Floor:
    """A score to hold the others against: its kind is its line's class."""

    kind: str
    name: str
    value: float


@dataclass(frozen=True)
class TaskScores:
    """A task's headline scores; `lower`: less is better, and the picture is turned so that up is better."""

    task: str
    title: str
    metric: str
    lower: bool
    strategies: Sequence[StrategyScores]
    floors: Sequence[Floor]


def task_picture(scores: TaskScores) -> Markup:
    """A column a strategy, from the mean of its experiments (open) to the best one (filled); floors as lines across."""
    values = [floor.value for floor in scores.floors]
    values += [value for one in scores.strategies for value in (one.best, one.mean)]
    ends = (TOP, HEIGHT - BOTTOM) if scores.lower else (HEIGHT - BOTTOM, TOP)
    scale = Scale(values, *ends)
    parts: list[str] = []
    for value, tick in _few(scale):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH:g}" y1="{scale(value):.1f}" y2="{scale(value):.1f}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 4}" y="{scale(value) + 3.5:.1f}" text-anchor="end">{tick}</text>')
    for floor in scores.floors:
        title = f"<title>{escape(floor.name)}: {scores.metric} {number(floor.value)}</title>"
        y = f"{scale(floor.value):.1f}"
        parts.append(f'<line class="f-{floor.kind}" x1="{LEFT}" x2="{WIDTH:g}" y1="{y}" y2="{y}">{title}</line>')
    step = (WIDTH - LEFT) / max(1, len(scores.strategies))
    for index, one in enumerate(scores.strategies):
        parts += _strategy(one, scores.metric, LEFT + step * (index + 0.5), scale)
    alt = f"{scores.title}: best and mean {scores.metric} of each strategy beside the scores that need no training"
    return _svg(WIDTH, HEIGHT, alt, parts)


def _strategy(one: StrategyScores, metric: str, x: float, scale: Scale) -> list[str]:
    says = f"{one.name}: best {metric} {number(one.best)} ({one.who}), mean of {one.count} {number(one.mean)}"
    best, mean = scale(one.best), scale(one.mean)
    place = f'x1="{x:.1f}" x2="{x:.1f}" y1="{mean:.1f}" y2="{best:.1f}"'
    return [
        f'<g class="s{one.colour}"><title>{escape(says)}</title><line {place}/>',
        f'<circle class="mean" cx="{x:.1f}" cy="{mean:.1f}" r="3.5"/><circle cx="{x:.1f}" cy="{best:.1f}" r="4"/></g>',
        f'<text class="soft" x="{x:.1f}" y="{HEIGHT - 3:g}" text-anchor="middle">{one.letter}</text>',
    ]


def _few(scale: Scale) -> list[tuple[float, str]]:
    """At most four of the ticks."""
    ticks = scale.ticks()
    return [(value, words(value)) for value, _ in ticks[:: 1 + (len(ticks) - 1) // 4]]


def _svg(width: float, height: float, alt: str, parts: Sequence[str]) -> Markup:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(alt)}">'
    return Markup(head + "".join(parts) + "</svg>")
