"""The overview: what the run is, its answers, its scores beside those that need no training, and what to beware of.

Owns what goes on the first screen. It computes nothing but counts: each number is the findings', results.csv's or an
outcome's. Does not know how anything was tested.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from regimen.analysis.declared_contrasts import JudgedContrast
from regimen.plan import ItemsSpec
from regimen.report.answer_cards import AnswerCard, answers
from regimen.report.html_page import render
from regimen.report.overview_charts import Floor, IntervalRow, StrategyScores, TaskScores, interval_rows, task_picture
from regimen.report.run_reading import FLOORS, Reading
from regimen.report.section import Section
from regimen.report.words import NOT_YET, hours, interval, number, result_link, signed
from regimen.results import better_sign
from regimen.results.facts import ItemsFacts
from regimen.study import ZERO_SHOT

INTERVALS = 4  # on a card
CAVEATS = 3
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class OverviewCard:
    """An answer with its small picture; `more` counts intervals that stand under Evidence alone."""

    answer: AnswerCard
    axis: str
    rows: Sequence[IntervalRow]
    more: int


@dataclass(frozen=True)
class KeyNumber:
    """A number in one line: what it is, the number, what to know with it, and where it comes from."""

    name: str
    value: str
    note: str = ""
    link: str = ""


def overview_section(reading: Reading) -> Section:
    """The section."""
    scores = task_scores(reading)
    strategies = list({one.name: one for task in scores for one in task.strategies}.values())
    context = {
        "study": reading.plan.study,
        "facts": run_facts(reading),
        "alarms": list(alarms(reading)),
        "cards": [_card(reading, answer) for answer in answers(reading)],
        "panels": [(task, task_picture(task)) for task in scores],
        "strategies": sorted(strategies, key=lambda one: one.letter),
        "floors": list({floor.kind: floor for task in scores for floor in task.floors}.values()),
        "numbers": key_numbers(reading, scores),
        "caveats": caveats(reading, scores)[:CAVEATS],
    }
    return Section("overview", "Overview", Markup(render("overview.html.jinja", context)))


def run_facts(reading: Reading) -> list[tuple[str, str]]:
    """(what, value): base, data, items, seeds, state, date."""
    study, status = reading.plan.study, reading.status
    seeds = sorted({study.seed_of(planned.experiment) for planned in reading.trained})
    done = f"{status['experiments']['done']} of {len(reading.plan.experiments)} experiments done"
    running, failed = status["experiments"]["running"], status["experiments"]["failed"]
    state = done + (f", {running} running" if running else "") + (f", {failed} failed" if failed else "")
    return [
        ("base", ", ".join(base.id for base in study.bases)),
        ("data", "the package's miniatures" if study.data == "miniature" else "the study's sources"),
        ("items", _items(reading)),
        ("seeds" if len(seeds) > 1 else "seed", ", ".join(map(str, seeds)) or str(study.seed)),
        ("state", state),
        ("last result", _date(reading)),
    ]


def _items(reading: Reading) -> str:
    counts = []
    for name, outcome in reading.tables.outcomes.items():
        stage, facts = reading.plan.stages.get(name), outcome.facts
        if isinstance(stage, ItemsSpec) and isinstance(facts, ItemsFacts) and stage.purpose == "score":
            counts += [facts.items] if stage.task_name in reading.tasks and not stage.shots else []
    if not counts:
        return NOT_YET
    low, high = min(counts), max(counts)
    return f"{low:,} a task" if low == high else f"{low:,} to {high:,} a task"


def _date(reading: Reading) -> str:
    ended = max((outcome.ended for outcome in reading.tables.outcomes.values()), default=0.0)
    return f"{datetime.fromtimestamp(ended, UTC):%Y-%m-%d}" if ended > 0 else NOT_YET


def alarms(reading: Reading) -> Iterator[str]:
    """What a reader must know before anything else: that this is no measurement of the real thing."""
    study, most = reading.plan.study, reading.plan.study.evaluation.items
    if study.data == "miniature":
        yield (
            "Miniature run: it read the package's made-up miniatures of the sources. It shows that the machinery works "
            "and says nothing about the real data sets."
        )
    elif study.profile == "pilot":
        items = f" and at most {most:,} test items a task" if most else ""
        yield f"Pilot run: a small base, few steps{items}. It shows where to look, not what the full study will find."


def _card(reading: Reading, answer: AnswerCard) -> OverviewCard:
    plot = answer.plot
    if plot is None:
        return OverviewCard(answer, "", [], 0)
    rows = interval_rows(plot, reading.titles | answer.titles, INTERVALS)
    return OverviewCard(answer, plot.axis, rows, len(plot.rows) - len(rows) + plot.left_out)


def task_scores(reading: Reading) -> list[TaskScores]:
    """The headline scores of each main task that has some, by strategy, beside its floors."""
    names = list(dict.fromkeys(reading.strategy.values()))
    found = []
    for task, about in reading.tasks.items():
        lower = better_sign(about.headline) < 0
        strategies = []
        for index, name in enumerate(names):
            one = _strategy(reading, task, name, index, lower)
            strategies += [one] if one else []
        floors = _floors(reading, task)
        if strategies or floors:
            found.append(TaskScores(task, about.title, about.headline, lower, strategies, floors))
    return found


def _strategy(reading: Reading, task: str, name: str, index: int, lower: bool) -> StrategyScores | None:
    recipes = [recipe for recipe, runs in reading.runs.items() if reading.strategy[runs[0].experiment.id] == name]
    scores = {recipe: score for recipe in recipes if (score := reading.score(recipe, task)) is not None}
    if not scores:
        return None
    who = (min if lower else max)(scores, key=lambda one: scores[one])
    letter = LETTERS[index] if index < len(LETTERS) else str(index + 1)
    return StrategyScores(letter, index % 8, name, scores[who], statistics.fmean(scores.values()), len(scores), who)


def _floors(reading: Reading, task: str) -> list[Floor]:
    zero = reading.row(ZERO_SHOT, task)
    found = [Floor("zero", "zero-shot", zero.value)] if zero else []
    found += [Floor("shots", f"{row.end.shots}-shot", row.value) for row in reading.with_examples(task)[-1:]]
    for kind, name in FLOORS.items():
        value = reading.floor(kind, task)
        if value is not None and kind != "majority":
            found.append(Floor(kind, name, value))
    return found


def tfidf_wins(reading: Reading, scores: Sequence[TaskScores]) -> tuple[list[str], int]:
    """(titles of the tasks where TF-IDF is above every trained experiment, how many tasks have both)."""
    wins, both = [], 0
    for task in scores:
        line = reading.floor("tfidf", task.task)
        if line is None or not task.strategies:
            continue
        both += 1
        best = max((-1 if task.lower else 1) * one.best for one in task.strategies)
        wins += [task.title] if (-line if task.lower else line) > best else []
    return wins, both


def key_numbers(reading: Reading, scores: Sequence[TaskScores]) -> list[KeyNumber]:
    """Best recipe and its cost, tasks where TF-IDF wins, the smallest effect that could be detected, the gate."""
    found = []
    best = max(reading.means, key=lambda name: (reading.means[name].mean, name), default=None)
    if best is not None:
        mean, planned = reading.means[best], reading.planned.get(best)
        cost = f"{hours(planned.gpu_hours)} GPU-hours planned" if planned else ""
        note = f"{signed(mean.mean)} ({interval(mean.low, mean.high)}) over {len(mean.tasks)} tasks, {cost}"
        title = planned.experiment.title if planned else best
        found.append(KeyNumber("largest mean change", title, note, result_link(best)))
    wins, both = tfidf_wins(reading, scores)
    if both:
        found.append(KeyNumber("tasks where TF-IDF wins", f"{len(wins)} of {both}", ", ".join(wins), "results"))
    found += _detectable(reading)
    gate = reading.findings.gate
    if reading.plan.study.gate:
        found.append(KeyNumber("promising?", gate.decision, gate.next, "gate"))
    return found


def _tested(reading: Reading) -> list[JudgedContrast]:
    return [one for answer in reading.findings.questions for one in answer.contrasts if one.comparison]


def _detectable(reading: Reading) -> list[KeyNumber]:
    """The smallest minimum detectable effect, and the middle one; a comparison that can detect none needs the most."""
    every = sorted(
        math.inf if one.comparison.mde is None else one.comparison.mde for one in _tested(reading) if one.comparison
    )
    if not every or math.isinf(every[0]):
        return []
    middle = statistics.median_high(every)
    need = "can detect none" if math.isinf(middle) else f"need {number(middle)} or more"
    note = f"in the most sensitive of {len(every)} tested comparisons; half {need}"
    return [KeyNumber("minimum detectable effect", number(every[0]), note, "evidence")]


def caveats(reading: Reading, scores: Sequence[TaskScores]) -> list[str]:
    """What weakens the answers, the gravest first."""
    found, missing = [], len(reading.tables.missing_cells())
    if missing:
        found.append(f"{missing:,} scores are not there yet; what rests on them reads \u201cnot yet\u201d.")
    wins, both = tfidf_wins(reading, scores)
    if wins:
        found.append(
            f"TF-IDF with logistic regression beats every trained model on {len(wins)} of {both} classification tasks."
        )
    if reading.trained and not reading.findings.method.replicates:
        found.append(
            "Every recipe was trained once: intervals are over test items, and another seed gives other scores."
        )
    undecided = [one.comparison for one in _tested(reading) if one.outcome == "undecided"]
    largest = max((one.mde for one in undecided if one and one.mde is not None), default=None)
    if undecided:
        seen = f"; effects below {number(largest)} may have been missed" if largest is not None else ""
        found.append(f"{len(undecided)} of {len(_tested(reading))} tested comparisons are undecided{seen}.")
    found.append("The best of many runs flatters itself: a strategy\u2019s mean is the fairer number.")
    return found
