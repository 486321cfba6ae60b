"""Two experiments side by side as a page of their own: the report's sections Compare, Items and Curves, for these two.

Owns which numbers that page holds: the tests of a comparison, and the answers and losses of both sides. Does not know
how differences are tested, nor how the sections are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from regimen.analysis.experiment_comparison import ExperimentComparison, TaskDifference
from regimen.report import shell
from regimen.report.charts import Axis, Mark, Rows, svg_of
from regimen.report.compare_section import Compared, PairedTask, Pairs, Tested, section_of
from regimen.report.curves_section import LossCurve, curves_of, loss_curve
from regimen.report.html_page import render
from regimen.report.items_section import items_of
from regimen.report.run_reading import RunReading
from regimen.report.scored_ends import Scored, scored_ends
from regimen.report.section import Section
from regimen.report.words import interval, probability, signed
from regimen.results import better_sign
from regimen.results.external import is_external
from regimen.results.tables import RunTables
from regimen.study import ZERO_SHOT
from regimen.study.margins import unit_of


@dataclass(frozen=True)
class ComparedRun:
    """A side of a comparison: an experiment of a run, or a base as it is; `name` is how the comparison calls it.

    Of a recipe with several seeds, items and losses are those of the run with its id.
    """

    reading: RunReading
    experiment: str
    name: str

    @property
    def title(self) -> str:
        """The experiment's title."""
        if is_external(self.experiment):
            return f"{self.experiment}, another system"
        planned = self.reading.planned.get(self.experiment)
        return planned.experiment.title if planned and planned.experiment.legs else "Zero-shot"

    def scored(self) -> list[Scored]:
        """Its evaluations, under its name."""
        planned = self.reading.planned.get(self.experiment)
        own = (planned and planned.experiment.legs) or self.experiment in self.reading.plan.base_references
        wanted = self.experiment if own or is_external(self.experiment) else ZERO_SHOT
        ends = [end for end in scored_ends(self.reading) if end.id == wanted]
        return [replace(end, id=self.name, title=self.title) for end in ends]

    def curve(self) -> LossCurve | None:
        """Its losses, under its name."""
        planned = self.reading.planned.get(self.experiment)
        curve = loss_curve(self.reading, planned) if planned else None
        return replace(curve, id=self.name) if curve else None


def compared_runs(
    found: ExperimentComparison, one: tuple[RunTables, str], other: tuple[RunTables, str]
) -> tuple[ComparedRun, ComparedRun]:
    """The sides of a comparison, from each side's run and id; "zero-shot" of one run is the other side's own base."""
    sides = []
    for (tables, name), (beside, partner), shown in ((one, other, found.a), (other, one, found.b)):
        experiment = name
        if name == ZERO_SHOT and tables is beside:
            experiment = tables.plan.study.zero_shot_of(tables.base_of(partner)).experiment
        sides.append(ComparedRun(RunReading(tables), experiment, shown))
    return sides[0], sides[1]


def comparison_page(found: ExperimentComparison, sides: Sequence[ComparedRun] = ()) -> str:
    """The page of `regimen compare`, one file that needs nothing else; without `sides` it has no items or losses."""
    sections = [_compare(found, sides)]
    if sides:
        compared = {row.task for row in found.tasks if row.comparison}  # of others the items may not be the same
        tasks = {name: task for name, task in sides[0].reading.plan.study.tasks.items() if name in compared}
        curves = [curve for side in sides if (curve := side.curve())]
        more = [items_of(tasks, [end for side in sides for end in side.scored()])]
        more.append(curves_of(curves, [curve.id for curve in curves]))
        sections += [section for section in more if section]
    return shell.page(f"{found.a} and {found.b}", sections)


def _compare(found: ExperimentComparison, sides: Sequence[ComparedRun]) -> Section:
    titles = {side.name: side.title for side in sides}
    settings = [[(row.label, row.values[at]) for row in found.recipe if row.values[at]] for at in (0, 1)]
    ends = [
        Compared(name, titles.get(name, name), None, own)
        for name, own in zip((found.a, found.b), settings, strict=True)
    ]
    tested = [
        Tested.of(found.a, found.b, row.task, row.comparison, "corrected by Holm over these tasks", row.runs)
        for row in found.tasks
        if row.comparison
    ]
    names = {name: task.title for side in sides[:1] for name, task in side.reading.plan.study.tasks.items()}
    tasks = [_task(row, names.get(row.task, row.task)) for row in found.tasks]
    chart = _chart(f"{found.a} - {found.b}", found.tasks)
    context = {"found": found, "chart": Markup(svg_of(chart)) if chart else ""}
    still = Markup(render("comparison.html.jinja", context))
    return section_of(Pairs(ends, tasks, tested, [found.a, found.b]), still, printed=True)


def _task(row: TaskDifference, title: str) -> PairedTask:
    return PairedTask(
        id=row.task,
        title=title,
        metric=row.metric,
        unit=unit_of(row.metric),
        less=better_sign(row.metric) < 0,
        values=[row.a, row.b],
        why="" if row.comparison else row.statement,
        fine=1.0,
        widths=[],
    )


def _chart(title: str, rows: Sequence[TaskDifference]) -> Rows | None:
    marks = tuple(
        Mark(
            label=f"{row.task} ({row.metric})",
            value=tested.estimate,
            low=tested.low,
            high=tested.high,
            strong=tested.is_clear,
            hover=f"{row.task}: {signed(tested.estimate)} ({interval(tested.low, tested.high)}), "
            f"adjusted p {probability(tested.p_adjusted)}",
        )
        for row in rows
        if (tested := row.comparison)
    )
    if not marks:
        return None
    axis = Axis(f"{title} (positive: the first is better)")
    return Rows("comparison", title, f"{title} on {len(marks)} tasks, with intervals", axis, marks)
