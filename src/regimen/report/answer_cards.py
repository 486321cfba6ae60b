"""The answers: each question's verdict with the contrasts that it rests on.

Owns the rule that no verdict is shown without an interval, a number of items and a test. Does not know how verdicts
are reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.declared_contrasts import JudgedContrast
from regimen.analysis.effects import MeanEffect
from regimen.analysis.findings import Answer
from regimen.analysis.headlines import DIFFERENCE, IntervalPlot, whole_plot
from regimen.analysis.taxonomy import StrategyRow
from regimen.analysis.thresholds import Threshold
from regimen.analysis.verdicts import deciding
from regimen.report.charts import Axis, Mark, Rows
from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, file_stem, interval, number, probability, signed
from regimen.study import EndPoint
from regimen.study.questions import ThresholdRule

APART = "apart: no part of the answer"
WITHOUT_EVIDENCE = (NOT_YET, "not identifiable")


@dataclass(frozen=True)
class ContrastRow:
    """A contrast, the end points that it compares, and the address of the first one's panel ("" for none).

    `label` is its title with the tasks' own titles, or their number; `apart`: the verdict does not rest on it.
    """

    judged: JudgedContrast
    label: str
    names: Sequence[EndPoint]
    link: str
    apart: bool

    @property
    def title(self) -> str:
        """The contrast's title."""
        return self.judged.contrast.title

    @property
    def is_clear(self) -> bool:
        """Whether it is clearly better or worse."""
        return self.judged.outcome in ("better", "worse")


@dataclass(frozen=True)
class AnswerCard:
    """A question as the page shows it; `thresholds` holds (title of the task, its entry).

    `charts` are its intervals, all of them: of what a ranking or strategies decide, then of the contrasts.
    """

    id: str
    question: str
    verdict: str
    headline: str
    summary: str
    effect: MeanEffect | None
    plot: IntervalPlot | None
    contrasts: Sequence[ContrastRow]
    thresholds: Sequence[tuple[str, Threshold]]
    charts: Sequence[Rows]

    @property
    def anchor(self) -> str:
        """Where the page has it."""
        return f"answer-{file_stem(self.id)}"

    @property
    def tested(self) -> int:
        """How many of its contrasts were tested."""
        return sum(row.judged.comparison is not None for row in self.contrasts)

    @property
    def titles(self) -> dict[str, str]:
        """Contrast -> its label."""
        return {row.judged.contrast.id: row.label for row in self.contrasts}


def answers(reading: Reading) -> list[AnswerCard]:
    """The questions as the page shows them."""
    return [_answer(reading, answer) for answer in reading.findings.questions]


def _answer(reading: Reading, answer: Answer) -> AnswerCard:
    asked = deciding(reading.plan.study.questions[answer.id].rule, answer.contrasts)
    rows = [_row(reading, judged, judged not in asked) for judged in answer.contrasts]
    titles = reading.plan.study.tasks
    thresholds = [(titles[entry.task].title, entry) for entry in answer.tasks or ()]
    verdict, summary = supported(answer, reading.findings.taxonomy)
    return AnswerCard(
        id=answer.id,
        question=answer.question,
        verdict=verdict,
        headline=answer.headline if verdict == answer.verdict else summary,
        summary=summary,
        effect=answer.effect,
        plot=answer.plot,
        contrasts=rows,
        thresholds=thresholds,
        charts=[*_plots(reading, answer), *_chart(answer, rows)],
    )


def supported(answer: Answer, strategies: Sequence[StrategyRow]) -> tuple[str, str]:
    """(verdict, summary); "not yet" where nothing with an interval and n carries a verdict.

    A ranking needs ranked experiments; a question answered by contrasts needs a tested one; one answered task by task
    needs a share with its interval; one answered by ranks needs strategies with intervals of gain and rank.
    """
    if answer.rankings:
        carried = any(group.ranked for group in answer.rankings)
    elif answer.contrasts:
        carried = any(judged.comparison for judged in answer.contrasts)
    elif answer.tasks:
        carried = any(entry.reached_by or entry.nearest for entry in answer.tasks)
    else:
        carried = any(row.gain_ci and row.rank_ci for row in strategies)
    if carried or answer.verdict in WITHOUT_EVIDENCE:
        return answer.verdict, answer.summary
    return NOT_YET, "Not yet: nothing that this question rests on has an interval and a number of items."


def _row(reading: Reading, judged: JudgedContrast, apart: bool) -> ContrastRow:
    ends = list(dict.fromkeys(end for pair in judged.contrast.pairs for end in (pair.of, pair.against)))
    link = reading.link(ends[0].experiment) if ends else ""
    return ContrastRow(judged, _label(reading, judged), ends, link, apart)


def _label(reading: Reading, judged: JudgedContrast) -> str:
    """The title, which ends in task ids, with what a reader calls the tasks."""
    tasks = list(dict.fromkeys(pair.task for pair in judged.contrast.pairs))
    head, _, rest = judged.contrast.title.partition(", ")
    if not tasks or not rest:
        return judged.contrast.title
    title = reading.plan.study.tasks[tasks[0]].title if len(tasks) == 1 else f"{len(tasks)} tasks"
    return f"{head}, {title}"


def _plots(reading: Reading, answer: Answer) -> list[Rows]:
    """What decides beside contrasts: each ranking, the strategies, or the tasks one by one."""
    rule = reading.plan.study.questions[answer.id].rule
    if answer.rankings:
        plots = [whole_plot([], None, [group], None) for group in answer.rankings if group.ranked]
    else:
        fraction = rule.fraction if isinstance(rule, ThresholdRule) else None
        plots = [whole_plot([], answer.tasks, None, answer.strategies, fraction, answer.crossed)]
    known = [plot for plot in plots if plot]
    return [_drawn(reading, answer, plot, place) for place, plot in enumerate(known, start=1)]


def _drawn(reading: Reading, answer: Answer, plot: IntervalPlot, place: int) -> Rows:
    """The intervals as a chart, held against zero."""
    titles, line = reading.titles, plot.line
    marks = tuple(
        Mark(
            label=titles.get(row.key, row.label),
            value=row.estimate - line,
            low=row.low - line,
            high=row.high - line,
            strong=row.outcome in ("better", "worse"),
            hover=f"{titles.get(row.key, row.label)}: {signed(row.estimate)} ({interval(row.low, row.high)})",
            link=reading.link(row.key),
        )
        for row in plot.rows
    )
    axis = f"{plot.axis}, less {line:g}" if line else plot.axis
    name = f"decides-{file_stem(answer.id).lower()}-{place}"
    return Rows(name, f"{answer.id}: {plot.axis}", f"{axis}: {len(marks)} intervals", Axis(axis), marks)


def _chart(answer: Answer, rows: Sequence[ContrastRow]) -> list[Rows]:
    marks = tuple(
        Mark(
            label=row.label,
            value=found.estimate,
            low=found.low,
            high=found.high,
            strong=row.is_clear,
            hover=f"{row.label}: {signed(found.estimate)} ({interval(found.low, found.high)}), "
            f"n = {found.items}, adjusted p {probability(found.p_adjusted)}, "
            f"minimum detectable effect {'none' if found.mde is None else number(found.mde)}",
            link=row.link,
            under=APART if row.apart else "",
        )
        for row in sorted(rows, key=lambda row: row.apart)
        if (found := row.judged.comparison)
    )
    if not marks:
        return []
    return [
        Rows(
            name=f"contrasts-{file_stem(answer.id).lower()}",
            title=f"{answer.id}: {answer.question}",
            alt=f"Estimates and intervals of {len(marks)} contrasts of {answer.id}; the table lists them",
            x=Axis(DIFFERENCE),
            marks=marks,
        )
    ]
