"""The value of a recipe over all its runs: the mean over runs and tasks, with the spread of seeds in its draws.

Owns the joining of runs into one number whose draws can be compared with those of other recipes. A recipe of one run is
that run. Does not know contrasts or verdicts, which join seeds by `replicates.with_seeds`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from regimen.analysis.evidence import Evidence
from regimen.analysis.replicates import replicate_groups, runs_of
from regimen.analysis.statistics.metric_sums import Array
from regimen.analysis.statistics.resampling import Resampled, generator, mean
from regimen.analysis.statistics.seed_variance import Component, seed_component, standing_out
from regimen.analysis.strategies import trains_on
from regimen.study import ZERO_SHOT, EndPoint

Value = Callable[[str, str], Resampled | None]  # of an experiment on a task


@dataclass(frozen=True)
class OverRuns:
    """A number of a recipe, and how many runs it is the mean of."""

    number: Resampled
    runs: int


def first_runs(evidence: Evidence, names: Iterable[str]) -> list[str]:
    """Of trained experiments one for each recipe: the first of its runs among these."""
    leader = {name: group[0] for group in replicate_groups(evidence) for name in group}
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(leader.get(name, name), name)
    return list(found.values())


def run_names(evidence: Evidence, experiment: str, tasks: Iterable[str]) -> list[str]:
    """The runs of the experiment's recipe that have a score on all of the tasks; itself where it is alone."""
    runs = [[end.experiment for end in runs_of(evidence, EndPoint(experiment), task)] for task in tasks]
    return [name for name in runs[0] if all(name in others for others in runs)]


def gain_over_runs(evidence: Evidence, experiment: str, weights: Mapping[str, float]) -> OverRuns | None:
    """The sum over tasks (task -> weight) of the recipe's mean gain over zero-shot; None where a score is missing."""
    return _over_runs(evidence, experiment, weights, lambda name, task: evidence.gain(name, ZERO_SHOT, task))


def score_over_runs(evidence: Evidence, experiment: str, task: str) -> OverRuns | None:
    """The recipe's mean score on a task, in the metric's own direction; None where it is missing."""
    return _over_runs(evidence, experiment, {task: 1.0}, evidence.value)


def _over_runs(evidence: Evidence, experiment: str, weights: Mapping[str, float], value: Value) -> OverRuns | None:
    names = run_names(evidence, experiment, weights)
    each = [_sum(value, name, weights) for name in names]
    known = [number for number in each if number is not None]
    if not known or len(known) < len(each):
        return None
    number = mean(known)
    found = _seeds(evidence, tuple(weights.items()), names[0])
    if found is None:
        return OverRuns(number, len(names))
    noise = _noise(evidence, *found, names[0], weights, len(number.draws)) * len(names) ** -0.5
    return OverRuns(replace(number, draws=number.draws + noise), len(names))


def _sum(value: Value, name: str, weights: Mapping[str, float]) -> Resampled | None:
    parts = [(value(name, task), weight) for task, weight in weights.items()]
    known = [part * weight for part, weight in parts if part is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(parts) else None


@lru_cache(maxsize=4096)  # asked for each recipe and task
def _seeds(evidence: Evidence, weights: tuple[tuple[str, float], ...], name: str) -> tuple[Component, str] | None:
    """The variance of a run about its recipe, and a name that all recipes with the same one share.

    It is pooled over the recipes that trained on as many of the tasks; one that clearly varies more has its own.
    """
    trained = _trained(evidence, name, dict(weights))
    groups = _like_runs(evidence, weights, trained)
    if not groups:
        return None
    recipe = evidence.study.experiment(name).recipe
    if recipe in standing_out(groups):
        return seed_component([groups[recipe]], 1), recipe
    return seed_component(list(groups.values()), 1), str(trained)


@lru_cache(maxsize=4096)
def _like_runs(evidence: Evidence, weights: tuple[tuple[str, float], ...], trained: int) -> dict[str, list[float]]:
    """Recipe -> the weighted sums of its runs, of each replicated recipe that trained on `trained` of the tasks."""
    groups = {}
    for group in replicate_groups(evidence):
        if _trained(evidence, group[0], dict(weights)) == trained:
            sums = [_turned(evidence, run, weights) for run in group]
            groups[evidence.study.experiment(group[0]).recipe] = [found for found in sums if found is not None]
    return {recipe: group for recipe, group in groups.items() if len(group) > 1}


def _turned(evidence: Evidence, run: str, weights: tuple[tuple[str, float], ...]) -> float | None:
    """The weighted sum of a run's scores, turned so that up is better."""
    total = 0.0
    for task, weight in weights:
        value, scores = evidence.value(run, task), evidence.scores(task)
        if value is None or scores is None:
            return None
        total += weight * scores.sign * value.point
    return total


def _trained(evidence: Evidence, name: str, tasks: Iterable[str]) -> int:
    experiment = evidence.study.experiment(name)
    return sum(trains_on(evidence.study, experiment, task) for task in tasks)


def _noise(evidence: Evidence, part: Component, shared: str, name: str, tasks: Iterable[str], count: int) -> Array:
    """(count,) draws of the seeds' part: normal, over a variance that is known with few degrees of freedom.

    Quantiles of the sum with the items' draws are those of a normal and a Student's t together (Behrens and Fisher),
    which errs on the wide side. Recipes whose variance is pooled share one chi-squared divisor.
    """
    seed, where = evidence.rules.seed, "+".join(sorted(tasks))
    pooled = generator(seed, "seeds' variance", where, shared)
    divisor = (pooled.chisquare(part.free, count) / part.free) ** 0.5
    return generator(seed, "seeds", where, name).standard_normal(count) * part.variance**0.5 / divisor
