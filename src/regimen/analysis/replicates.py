"""Recipes that were trained with several seeds, and what their spread adds to a contrast's uncertainty.

Owns the finding of replicates - experiments that differ in nothing but the seed - and their scores. Does not know
tests of items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from regimen.analysis.contrasts import Comparison
from regimen.analysis.evidence import Evidence
from regimen.analysis.statistics.seed_variance import Combined, Component, combine, item_component, seed_component
from regimen.study import Experiment, Pair


def recipe_key(evidence: Evidence, experiment: Experiment) -> tuple[Any, ...]:
    """What two runs share that differ in their seed alone: legs, adapter, learning rate, and those before them."""
    study = evidence.study
    before: tuple[Any, ...] = ()
    if experiment.start_from is not None:
        before = recipe_key(evidence, study.experiment(experiment.start_from))
    legs = tuple((leg.kind, tuple(sorted(_shares(leg.mixture).items())), leg.steps) for leg in experiment.legs)
    adapter = study.adapter_of(experiment).model_dump_json()
    return (before, legs, adapter, experiment.learning_rate)


def _shares(mixture: dict[str, float]) -> dict[str, float]:
    total = sum(mixture.values())
    return {name: round(weight / total, 12) for name, weight in mixture.items()}


def replicate_groups(evidence: Evidence) -> list[list[str]]:
    """Ids of trained experiments that differ in the seed alone, groups of two and more; in the study's order."""
    groups: dict[tuple[Any, ...], dict[int, str]] = {}
    for experiment in evidence.study.experiments:
        if experiment.legs and evidence.has(experiment.id):
            seeds = groups.setdefault(recipe_key(evidence, experiment), {})
            seeds.setdefault(evidence.study.seed_of(experiment), experiment.id)
    return [list(seeds.values()) for seeds in groups.values() if len(seeds) > 1]


def with_seeds(evidence: Evidence, pairs: Sequence[Pair], found: Comparison) -> Combined | None:
    """The contrast with seeds as a second variance component, where some recipe was replicated on its tasks.

    The seeds' variance is pooled over all replicated recipes with scores on all tasks of the contrast, and counted
    once for each trained side: a contrast compares single trainings. None where there are no replicates.
    """
    weights = _weights(evidence, pairs)
    groups = []
    tasks = sorted({pair.task for pair in pairs})
    for group in replicate_groups(evidence):
        values = [[evidence.value(end, task) for task in tasks] for end in group]
        whole = [[v.point for v in row if v is not None] for row in values]
        groups.append([sum(row) / len(tasks) for row in whole if len(row) == len(tasks)])
    groups = [group for group in groups if len(group) > 1]
    if not groups or not weights or found.clusters < 2:
        return None
    part = seed_component(groups, 1)
    trained = Component(part.variance * sum(weight**2 for weight in weights.values()), part.free)
    return combine(found.estimate, [item_component(found.se, found.clusters), trained])


def _weights(evidence: Evidence, pairs: Sequence[Pair]) -> dict[str, float]:
    """How much each trained model weighs in the contrast, the base left out."""
    weights: dict[str, float] = {}
    for pair in pairs:
        for end, sign in ((pair.of, 1.0), (pair.against, -1.0)):
            planned = evidence.planned(end.experiment)
            if planned is not None and planned.experiment.legs:
                weights[str(end)] = weights.get(str(end), 0.0) + sign / len(pairs)
    return {end: weight for end, weight in weights.items() if not math.isclose(weight, 0.0, abs_tol=1e-12)}
