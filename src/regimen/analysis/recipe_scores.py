"""The headline scores of recipes that were trained several times: the mean over runs with its interval.

Owns which recipes have such a mean. Does not know rows of tables.
"""

from __future__ import annotations

from dataclasses import dataclass

from regimen.analysis.evidence import Evidence
from regimen.analysis.over_runs import gain_over_runs, run_names, score_over_runs
from regimen.analysis.records import cut
from regimen.analysis.replicates import replicate_groups
from regimen.study import ZERO_SHOT


@dataclass(frozen=True)
class RecipeScore:
    """The mean headline score of `runs` of a recipe on a task, and its mean change against zero-shot (up is better).

    The 95% intervals are over items and seeds. A change is None where the base has no score.
    """

    runs: int
    items: int
    value: float
    low: float
    high: float
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None


def recipe_scores(evidence: Evidence) -> dict[tuple[str, str], RecipeScore]:
    """(recipe, main task) -> its score, for recipes with at least two runs there."""
    found = {}
    for group in replicate_groups(evidence):
        recipe = evidence.study.experiment(group[0]).recipe
        for task in evidence.study.panel("main"):
            if len(run_names(evidence, group[0], [task])) > 1 and (score := _score(evidence, group[0], task)):
                found[recipe, task] = score
    return found


def _score(evidence: Evidence, name: str, task: str) -> RecipeScore | None:
    over, scores = score_over_runs(evidence, name, task), evidence.scores(task)
    if over is None or scores is None:
        return None
    ends = over.number.interval()
    gain = gain_over_runs(evidence, name, {task: 1.0}) if evidence.state(ZERO_SHOT, task) == "there" else None
    if gain is None:
        return cut(RecipeScore(over.runs, scores.items, over.number.point, ends.low, ends.high))
    change = gain.number.interval()
    moved = gain.number.point, change.low, change.high
    return cut(RecipeScore(over.runs, scores.items, over.number.point, ends.low, ends.high, *moved))
