"""The least rows, tokens, steps and hours with which a recipe is clearly above a line.

Owns ladders (recipes that differ in their rows or steps alone), the least amount of each measure, and which measures a
run can speak of. Does not know lines or how bounds are made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from regimen.analysis.evidence import Evidence
from regimen.analysis.rungs import Climber, Rung
from regimen.study import Experiment
from regimen.study.schema import OVERRIDES

Measure = Literal["unique_rows", "tokens", "steps", "gpu_hours"]
MEASURES: tuple[Measure, ...] = ("unique_rows", "tokens", "steps", "gpu_hours")


@dataclass(frozen=True)
class Least:
    """The least amount of a measure with which a recipe is clearly above the line.

    `not_clear`: the largest smaller amount of the same ladder that is not clearly above it, None where no smaller one
    has run; `not_run` names smaller rungs of the ladder without a score.
    """

    measure: Measure
    amount: float
    experiment: str
    not_clear: float | None
    not_run: Sequence[str]


def least_amounts(evidence: Evidence, task: str, climbers: Sequence[Climber], line: float) -> list[Least]:
    """One entry for each measure that was recorded; unique rows only where a ladder of rows has run."""
    rungs = {climber: climber.rung(evidence, line) for climber in climbers}
    reached = [climber for climber in climbers if rungs[climber].clear]
    found = []
    for measure in MEASURES:
        amounts = {climber: amount for climber in climbers if (amount := _amount(rungs[climber], measure)) is not None}
        known = [climber for climber in reached if climber in amounts]
        if not known or (measure == "unique_rows" and not rows_vary(climbers)):
            continue
        least = min(known, key=lambda one: (amounts[one], *smallness(rungs[one])))
        ladder = [one for one in amounts if in_ladder(one.experiment, least.experiment)]
        short = [amounts[one] for one in ladder if amounts[one] < amounts[least]]
        lacking = _not_run(evidence, task, least.experiment, measure)
        found.append(Least(measure, amounts[least], least.experiment.id, max(short, default=None), lacking))
    return found


def smallness(rung: Rung) -> tuple[float, float, float]:
    """The order of rungs, smallest first: by steps, then different rows, then the larger share of the way."""
    return rung.steps, math.inf if rung.unique_rows is None else rung.unique_rows, -rung.share


def _amount(rung: Rung, measure: Measure) -> float | None:
    return {
        "unique_rows": rung.unique_rows, "tokens": rung.tokens, "steps": rung.steps, "gpu_hours": rung.gpu_hours
    }[measure]  # fmt: skip


def _not_run(evidence: Evidence, task: str, reached: Experiment, measure: Measure) -> list[str]:
    """Smaller recipes of the ladder without a score: fewer rows where rows are asked, else fewer steps."""
    states: dict[str, set[str]] = {}
    for planned in evidence.whole.experiments:
        one = planned.experiment
        if one.legs and in_ladder(one, reached) and _is_smaller(one, reached, measure):
            states.setdefault(one.recipe, set()).add(evidence.state(one.id, task))
    return [recipe for recipe, found in states.items() if found == {"missing"}]


def _is_smaller(one: Experiment, reached: Experiment, measure: Measure) -> bool:
    if measure == "unique_rows":
        return one.rows is not None and (reached.rows is None or one.rows < reached.rows)
    return one.rows == reached.rows and one.steps < reached.steps


def rows_vary(climbers: Sequence[Climber]) -> bool:
    """True if two of the recipes form a ladder of rows."""
    experiments = [climber.experiment for climber in climbers]
    return any(
        one.rows != other.rows and in_ladder(one, other)
        for place, one in enumerate(experiments)
        for other in experiments[place + 1 :]
    )


def same_recipe(one: Experiment, other: Experiment) -> bool:
    """True if the two differ in their steps alone, seeds apart."""
    return one.rows == other.rows and in_ladder(one, other)


def in_ladder(one: Experiment, other: Experiment) -> bool:
    """True if the two differ in their rows or steps alone, seeds apart."""
    mixtures = [[(leg.kind, dict(leg.mixture)) for leg in experiment.legs] for experiment in (one, other)]
    settings = [name for name in OVERRIDES if name not in ("seed", "rows")]
    same = all(getattr(one, name) == getattr(other, name) for name in settings)
    return same and mixtures[0] == mixtures[1] and one.start_from == other.start_from


def amount_words(measure: Measure, amount: float) -> str:
    """The amount with its unit."""
    if measure == "gpu_hours":
        return f"{amount:.2g} GPU-hours"
    return f"{amount:,.0f} {'different rows' if measure == 'unique_rows' else measure}"


def least_words(entries: Iterable[Least], experiment: str) -> str:
    """The least amounts, those of `experiment` (named before) without its name."""
    return "; ".join(_words(one, experiment) for one in entries)


def _words(one: Least, experiment: str) -> str:
    by = "" if one.experiment == experiment else f" ({one.experiment})"
    short = "" if one.not_clear is None else f", with {amount_words(one.measure, one.not_clear)} it is not clear"
    open_ones = f", {' and '.join(one.not_run)} not run" if one.not_run else ""
    return f"least {amount_words(one.measure, one.amount)}{by}{short}{open_ones}"
