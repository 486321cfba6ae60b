"""Compare: any two experiments side by side: recipes, differences by task with intervals, losses, items that flipped.

Owns the numbers of every pair: scores, the half width of each difference's interval, and the contrasts that were
tested. Losses and answers are those of Curves and Items. Does not know how they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from regimen.analysis.contrasts import Comparison
from regimen.analysis.experiment_comparison import recipe_words
from regimen.analysis.statistics.aligned_scores import TaskScores
from regimen.report.html_page import render
from regimen.report.run_reading import Reading
from regimen.report.section import Section
from regimen.results import better_sign
from regimen.results.external import is_external
from regimen.study import ZERO_SHOT
from regimen.study.margins import unit_of

PAIRED = 60  # end points, best mean change first, whose differences to all others have an interval in the page
FINE = 4095  # the largest whole number that a half width becomes


@dataclass(frozen=True)
class Compared:
    """An end point that can be chosen; `settings` are the fields of its recipe, in words.

    `reference` is its base as it is, which Results holds it against; None for a base itself and for another system.
    """

    id: str
    title: str
    reference: str | None
    settings: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class PairedTask:
    """A task's headline values, an entry an end point (None: no score), and the half widths of differences' intervals.

    `widths[i][j]` is that of end points i and i + 1 + j, in `fine` units of the metric (None: not known). `less`: a
    smaller value is better; `unit` is what the metric is counted in, and tasks of one unit share an axis. `why` is the
    reason for which nothing is compared; end points of different numbers in `kinds` (none: all are alike) are not
    compared because of `unlike`.
    """

    id: str
    title: str
    metric: str
    unit: str
    less: bool
    values: Sequence[float | None]
    fine: float
    widths: Sequence[Sequence[int | None]]
    kinds: Sequence[int] = ()
    unlike: str = ""
    why: str = ""


@dataclass(frozen=True)
class Tested:
    """The tested difference of `a` over `b` on a task, up is better; `by` is the contrast or the family of tests.

    `p` is corrected; `mde` is the effect that would have been found, None where none could be. `note` is what else a
    reader must know; `runs` are those that each side is the mean of.
    """

    a: str
    b: str
    task: str
    difference: float
    low: float
    high: float
    approximate: bool
    mde: float | None
    p: float
    outcome: str
    test: str
    by: str
    note: str
    runs: tuple[int, int] = (1, 1)

    @classmethod
    def of(cls, a: str, b: str, task: str, tested: Comparison, by: str, runs: tuple[int, int] = (1, 1)) -> Tested:
        """The numbers of a comparison."""
        return cls(
            a=a,
            b=b,
            task=task,
            difference=tested.estimate,
            low=tested.low,
            high=tested.high,
            approximate=tested.approximate,
            mde=tested.mde,
            p=tested.p_adjusted,
            outcome=tested.outcome,
            test=tested.test,
            by=by,
            note=tested.note,
            runs=runs,
        )


@dataclass(frozen=True)
class Pairs:
    """The block of data of the section; `first` are the two that are shown until a reader chooses."""

    ends: Sequence[Compared]
    tasks: Sequence[PairedTask]
    tested: Sequence[Tested]
    first: Sequence[str]


def compare_section(reading: Reading) -> Section | None:
    """The section; None where fewer than two end points have scores."""

    def loss(name: str) -> float:
        mean = reading.means.get(name)
        return -mean.mean if mean else math.inf

    bases = [ZERO_SHOT, *(name for name in reading.plan.base_references if name != ZERO_SHOT)]
    bases += dict.fromkeys(cell.experiment for cell in reading.tables.cells.values() if is_external(cell.experiment))
    order = [*bases, *sorted((planned.experiment.id for planned in reading.trained), key=loss)]
    tasks = [task for name in reading.plan.study.tasks if (task := _paired(reading, name, order))]
    scored = [name for at, name in enumerate(order) if any(task.values[at] is not None for task in tasks)]
    if len(scored) < 2:
        return None
    ends = [_end(reading, name) for name in order]
    pairs = Pairs(ends, tasks, list(_contrasts(reading)), _first(reading, scored))
    return section_of(pairs, Markup(render("compare.html.jinja", {"ends": ends})), printed=False)


def section_of(pairs: Pairs, still: Markup, *, printed: bool) -> Section:
    """The section of these pairs; `still` stands without JavaScript."""
    return Section(
        name="compare",
        title="Compare",
        html=still,
        blocks={"compare": pairs},
        script="compare.js",
        libraries=("uplot",),
        printed=printed,
    )


def _first(reading: Reading, scored: Sequence[str]) -> list[str]:
    """The experiment with the largest mean change, and the first of another strategy after it; else what there is."""
    trained = [name for name in scored if name in reading.strategy]
    others = [name for name in trained if reading.strategy[name] != reading.strategy[trained[0]]]
    return [*trained[:1], *others[:1], *trained[1:2], *scored[:2]][:2]


def _end(reading: Reading, name: str) -> Compared:
    study, planned = reading.plan.study, reading.planned.get(name)
    if is_external(name):
        return Compared(name, f"{name}, another system", None, [("strategy", "another system")])
    base = reading.tables.base_of(name)
    if planned is None:
        title = "Zero-shot" if len(study.bases) < 2 else f"Zero-shot, {base.id}"
        return Compared(name, title, None, [("base", base.id), ("strategy", ZERO_SHOT)])
    settings = [one for one in recipe_words(reading.evidence, name) if one[0] != "seeds"]  # here a run stands alone
    settings.append(("seed", str(study.seed_of(planned.experiment))))
    return Compared(name, planned.experiment.title, study.zero_shot_of(base).experiment, settings)


def _paired(reading: Reading, name: str, order: Sequence[str]) -> PairedTask | None:
    """The task's values and half widths; None where nothing has a score."""
    evidence, task = reading.evidence, reading.plan.study.tasks[name]
    scores = evidence.scores(name)
    if scores is None:
        return None
    there = [evidence.name_of(end, name) if evidence.state(end, name) == "there" else None for end in order]
    places = [None if end is None else scores.place(end) for end in there]
    values = [None if place is None else float(f"{scores.points[place]:.6g}") for place in places]
    half = evidence.draws(name).half_widths()
    used = [place for place in places if place is not None]
    if not used:
        return None
    largest = float(half[used][:, used].max())
    fine = largest / FINE if 0 < largest < math.inf else 1.0

    def width(one: int | None, other: int | None) -> int | None:
        if one is None or other is None or not math.isfinite(half[one, other]):
            return None
        return math.ceil(half[one, other] / fine)

    widths = [[width(one, other) for other in places[at + 1 :]] for at, one in enumerate(places[:PAIRED])]
    less, (kinds, unlike) = better_sign(task.headline) < 0, _kinds(reading, order, places, scores)
    return PairedTask(
        name, task.title, task.headline, unit_of(task.headline), less, values, fine, widths, kinds, unlike
    )


def _kinds(
    reading: Reading, order: Sequence[str], places: Sequence[int | None], scores: TaskScores
) -> tuple[list[int], str]:
    """A number for each end point, the same for those that can be compared (none where all can), and the reason."""
    if scores.metric == "perplexity":
        marks, why = [reading.tables.base_of(end).id for end in order], "perplexity hangs on the tokenizer"
    elif scores.form.columns[-1] == "bytes":
        bytes_of = (b"" if place is None else scores.sums[:, place, 1].tobytes() for place in places)
        marks, why = list(bytes_of), "two tokenizers cut the texts at different places"
    else:
        return [], ""
    seen: dict[object, int] = {}
    kinds = [seen.setdefault(mark, len(seen)) for mark in marks]
    used = {kind for kind, place in zip(kinds, places, strict=True) if place is not None}
    return (kinds, why) if len(used) > 1 else ([], "")


def _contrasts(reading: Reading) -> Iterator[Tested]:
    """The declared contrasts of one experiment with another on one task."""
    for answer in reading.findings.questions:
        for judged in answer.contrasts:
            if judged.comparison is None or len(judged.contrast.pairs) != 1:
                continue
            pair = judged.contrast.pairs[0]
            by = f"{answer.id}, {judged.contrast.id}"
            yield Tested.of(str(pair.of), str(pair.against), pair.task, judged.comparison, by)
