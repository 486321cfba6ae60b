"""Recipes that were trained with several seeds, and what their spread adds to a contrast's uncertainty.

Owns the runs of a recipe (`study.recipes`) that have scores. Does not know tests of items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from regimen.analysis.contrasts import Comparison
from regimen.analysis.evidence import Evidence
from regimen.analysis.statistics.seed_variance import (
    Combined,
    Component,
    combine,
    item_component,
    seed_component,
    standing_out,
)
from regimen.analysis.strategies import trains_on
from regimen.study import EndPoint, Pair


@lru_cache(maxsize=2)  # asked for each end of each contrast
def replicate_groups(evidence: Evidence) -> list[list[str]]:
    """Ids of the runs with scores of each recipe that has several, in the study's order."""
    groups = ([run.id for run in recipe.runs if evidence.has(run.id)] for recipe in evidence.study.recipes)
    return [group for group in groups if len(group) > 1]


def runs_of(evidence: Evidence, end: EndPoint, task: str) -> list[EndPoint]:
    """All runs of the end point's recipe with a score on the task, itself among them; only itself where it is alone.

    The end of an inner leg stands for itself: of its replicates only the whole recipes are compared.
    """
    if end.leg is None and not end.shots:
        for group in replicate_groups(evidence):
            if end.experiment in group:
                return [EndPoint(one) for one in group if evidence.state(one, task) == "there"]
    return [end]


def over_seeds(evidence: Evidence, pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs with every run of each recipe in place of one, so that their mean is over items, tasks and seeds."""
    found = []
    for pair in pairs:
        many, others = (runs_of(evidence, end, pair.task) for end in (pair.of, pair.against))
        found.append([Pair(of=a, against=b, task=pair.task) for a in many for b in others])
    if not found:
        return []
    each = math.lcm(*(len(group) for group in found))  # so that every pair of the contrast weighs the same
    return [pair for group in found for pair in group * (each // len(group))]


def runs_behind(evidence: Evidence, pairs: Sequence[Pair]) -> int:
    """The fewest runs of any trained recipe in the pairs; 0 where nothing was trained."""
    counts = [
        len(runs_of(evidence, end, pair.task))
        for pair in pairs
        for end in (pair.of, pair.against)
        if (planned := evidence.planned(end.experiment)) and planned.experiment.legs
    ]
    return max(1, min(counts)) if counts else 0


def with_seeds(evidence: Evidence, pairs: Sequence[Pair], found: Comparison) -> Combined | None:
    """The contrast with seeds as further variance components, where some recipe was replicated on its tasks.

    The seeds' variance of an end is pooled over all replicated recipes with scores on all tasks of the contrast that
    trained on as many of them as the end's own (what is trained on varies less than what is not), and counted for each
    run with its weight. A recipe that clearly varies more has its own. An end without such replicates adds nothing;
    None where no end has any.
    """
    squares: dict[tuple[int, str], float] = {}  # of the weights, by the tasks that an end trained on, and its recipe
    for end, weight in _weights(evidence, pairs).items():
        key = _trained_tasks(evidence, end, pairs), evidence.study.experiment(EndPoint.parse(end).experiment).recipe
        squares[key] = squares.get(key, 0.0) + weight**2
    parts = []
    for trained in dict.fromkeys(trained for trained, _ in squares):
        if groups := _like_runs(evidence, pairs, trained):
            apart = standing_out(groups)
            ours = {recipe: square for (count, recipe), square in squares.items() if count == trained}
            pooled = sum(square for recipe, square in ours.items() if recipe not in apart)
            shares = [
                (list(groups.values()), pooled),
                *(([groups[name]], ours[name]) for name in ours if name in apart),
            ]
            found_parts = [(seed_component(runs, 1), square) for runs, square in shares if square]
            parts += [Component(part.variance * square, part.free) for part, square in found_parts]
    if not parts or found.clusters < 2:
        return None
    return combine(found.estimate, [item_component(found.se, found.clusters), *parts])


def _like_runs(evidence: Evidence, pairs: Sequence[Pair], trained: int) -> dict[str, list[float]]:
    """Recipe -> mean scores over the contrast's tasks of its runs, of each replicated one that trained on so many."""
    tasks, groups = sorted({pair.task for pair in pairs}), {}
    for group in replicate_groups(evidence):
        if _trained_tasks(evidence, group[0], pairs) != trained:
            continue
        values = [[evidence.value(end, task) for task in tasks] for end in group]
        whole = [[v.point for v in row if v is not None] for row in values]
        recipe = evidence.study.experiment(group[0]).recipe
        groups[recipe] = [sum(row) / len(tasks) for row in whole if len(row) == len(tasks)]
    return {recipe: group for recipe, group in groups.items() if len(group) > 1}


def _trained_tasks(evidence: Evidence, end: str, pairs: Sequence[Pair]) -> int:
    """On how many of the contrast's tasks the end point's recipe was trained."""
    experiment = evidence.study.experiment(EndPoint.parse(end).experiment)
    return sum(trains_on(evidence.study, experiment, task) for task in {pair.task for pair in pairs})


def _weights(evidence: Evidence, pairs: Sequence[Pair]) -> dict[str, float]:
    """The weight of each trained model in the contrast, the base left out."""
    weights: dict[str, float] = {}
    for pair in pairs:
        for end, sign in ((pair.of, 1.0), (pair.against, -1.0)):
            planned = evidence.planned(end.experiment)
            if planned is not None and planned.experiment.legs:
                weights[str(end)] = weights.get(str(end), 0.0) + sign / len(pairs)
    return {end: weight for end, weight in weights.items() if not math.isclose(weight, 0.0, abs_tol=1e-12)}
