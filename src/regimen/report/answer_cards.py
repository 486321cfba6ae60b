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
from regimen.analysis.headlines import IntervalPlot
from regimen.analysis.taxonomy import StrategyRow
from regimen.analysis.thresholds import Threshold
from regimen.report.charts import Axis, Mark, Rows
from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, file_stem, interval, number, probability, signed
from regimen.study import EndPoint

WITHOUT_EVIDENCE = (NOT_YET, "not identifiable")


@dataclass(frozen=True)
class ContrastRow:
    """A contrast, the end points that it compares, and the address of the first one's panel ("" for none)."""

    judged: JudgedContrast
    names: Sequence[EndPoint]
    link: str

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
    """A question as the page shows it; `thresholds` holds (title of the task, its entry)."""

    id: str
    question: str
    verdict: str
    headline: str
    summary: str
    effect: MeanEffect | None
    plot: IntervalPlot | None
    contrasts: Sequence[ContrastRow]
    thresholds: Sequence[tuple[str, Threshold]]
    chart: Rows | None

    @property
    def anchor(self) -> str:
        """Where the page has it."""
        return f"answer-{file_stem(self.id)}"

    @property
    def tested(self) -> int:
        """How many of its contrasts were tested."""
        return sum(row.judged.comparison is not None for row in self.contrasts)


def answers(reading: Reading) -> list[AnswerCard]:
    """The questions as the page shows them."""
    return [_answer(reading, answer) for answer in reading.findings.questions]


def _answer(reading: Reading, answer: Answer) -> AnswerCard:
    rows = [_row(reading, judged) for judged in answer.contrasts]
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
        chart=_chart(answer, rows),
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


def _row(reading: Reading, judged: JudgedContrast) -> ContrastRow:
    ends = list(dict.fromkeys(end for pair in judged.contrast.pairs for end in (pair.of, pair.against)))
    link = reading.link(ends[0].experiment) if ends else ""
    return ContrastRow(judged, ends, link)


def _chart(answer: Answer, rows: Sequence[ContrastRow]) -> Rows | None:
    marks = tuple(
        Mark(
            label=row.title,
            value=found.estimate,
            low=found.low,
            high=found.high,
            strong=row.is_clear,
            hover=f"{row.title}: {signed(found.estimate)} ({interval(found.low, found.high)}), "
            f"n = {found.items}, adjusted p {probability(found.p_adjusted)}, MDE {number(found.mde)}",
            link=row.link,
        )
        for row in rows
        if (found := row.judged.comparison)
    )
    if not marks:
        return None
    return Rows(
        name=f"contrasts-{file_stem(answer.id).lower()}",
        title=f"{answer.id}: {answer.question}",
        alt=f"Estimates and intervals of {len(marks)} contrasts of {answer.id}; the table lists them",
        x=Axis("difference (right is better)"),
        marks=marks,
    )
