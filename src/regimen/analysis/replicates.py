"""Recipes that were trained with several seeds, and what their spread adds to a contrast's uncertainty.

Owns the runs of a recipe (`study.recipes`) that have scores. Does not know tests of items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from regimen.analysis.contrasts import Comparison
from regimen.analysis.evidence import Evidence
from regimen.analysis.statistics.seed_variance import Combined, Component, combine, item_component, seed_component
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
    run with its weight. An end without such replicates adds nothing; None where no end has any.
    """
    squares: dict[int, float] = {}  # of the weights, by how many of the tasks an end trained on
    for end, weight in _weights(evidence, pairs).items():
        trained = _trained_tasks(evidence, end, pairs)
        squares[trained] = squares.get(trained, 0.0) + weight**2
    parts = []
    for trained, square in squares.items():
        if groups := _like_runs(evidence, pairs, trained):
            part = seed_component(groups, 1)
            parts.append(Component(part.variance * square, part.free))
    if not parts or found.clusters < 2:
        return None
    return combine(found.estimate, [item_component(found.se, found.clusters), *parts])


def _like_runs(evidence: Evidence, pairs: Sequence[Pair], trained: int) -> list[list[float]]:
    """The mean scores over the contrast's tasks of the runs of each replicated recipe that trained on so many."""
    tasks, groups = sorted({pair.task for pair in pairs}), []
    for group in replicate_groups(evidence):
        if _trained_tasks(evidence, group[0], pairs) != trained:
            continue
        values = [[evidence.value(end, task) for task in tasks] for end in group]
        whole = [[v.point for v in row if v is not None] for row in values]
        groups.append([sum(row) / len(tasks) for row in whole if len(row) == len(tasks)])
    return [group for group in groups if len(group) > 1]


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
