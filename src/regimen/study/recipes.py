"""Recipes and their runs: what is trained, whatever the seed.

Owns the notion of a recipe, the making of its runs from `seeds`, and which runs a pattern of ids chooses. A recipe has
the id of its first run; a further run is called "{recipe}~s{seed}" and names the first in `replicate_of`. Does not know
files or scores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate

from regimen.study.crossed import CrossedStrategy
from regimen.study.schema import Experiment
from regimen.study.values import SEEDS, Seeds

MARK = "~"  # stands before each setting that a group varies and before the seed, in ids
PHASE = "phase:"


@dataclass(frozen=True)
class Recipe:
    """One or several runs that differ in nothing but the seed; the first run has the recipe's id.

    A baseline is a recipe of one run.
    """

    id: str
    runs: tuple[Experiment, ...]

    @property
    def first(self) -> Experiment:
        """The run that has the recipe's id."""
        return self.runs[0]

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The ids of its runs, the first of them the recipe's own."""
        return tuple(run.id for run in self.runs)


def recipes_of(experiments: Iterable[Experiment]) -> tuple[Recipe, ...]:
    """The recipes of some experiments, in the order of their first runs among these."""
    runs: dict[str, list[Experiment]] = {}
    for experiment in experiments:
        runs.setdefault(experiment.recipe, []).append(experiment)
    return tuple(Recipe(name, tuple(sorted(own, key=lambda run: run.id != name))) for name, own in runs.items())


Crossed = Mapping[str, Mapping[CrossedStrategy, tuple[Recipe, ...]]]


def crossed_of(recipes: Iterable[Recipe]) -> Crossed:
    """{set: {strategy: recipes}} of the recipes that are cells of a design, in their order; empty where none is."""
    found: dict[str, dict[CrossedStrategy, list[Recipe]]] = {}
    for recipe in recipes:
        cell = recipe.first.cell
        if cell is not None:
            found.setdefault(cell.set, {}).setdefault(cell.strategy, []).append(recipe)
    return {name: {way: tuple(own) for way, own in cells.items()} for name, cells in found.items()}


def chosen_by(patterns: Sequence[str], experiments: Sequence[Experiment]) -> tuple[Experiment, ...]:
    """The experiments that any of the patterns chooses, in their order.

    A pattern without "~" is about recipes: it chooses those whose id, or whose id without the settings that a group
    varies, it matches, with all runs in the recipe's own phase. A pattern with "~" is about single ids, and
    "phase:NAME" chooses all of a phase.
    """
    phases = {experiment.id: experiment.phase for experiment in experiments}
    of_phase = _any_of([one.removeprefix(PHASE) for one in patterns if one.startswith(PHASE)])
    rest = [one for one in patterns if not one.startswith(PHASE)]
    of_id, of_recipe = _any_of([one for one in rest if MARK in one]), _any_of([one for one in rest if MARK not in one])

    def is_chosen(experiment: Experiment) -> bool:
        if of_phase(experiment.phase) or of_id(experiment.id):
            return True
        recipe = experiment.recipe
        if phases.get(recipe, experiment.phase) != experiment.phase:
            return False
        return bool(of_recipe(recipe) or of_recipe(recipe.partition(MARK)[0]))

    return tuple(experiment for experiment in experiments if is_chosen(experiment))


def _any_of(patterns: Sequence[str]) -> Callable[[str], object]:
    """Whether any of the patterns matches a whole text."""
    return re.compile("|".join(map(translate, patterns)) if patterns else "(?!)").match


def listed_seeds(seeds: Seeds, first: int) -> tuple[int, ...]:
    """The seeds of a recipe's runs: as listed, or that many from `first` on; after the largest comes 0."""
    if isinstance(seeds, tuple):
        return seeds
    return tuple((first + number) % (SEEDS[1] + 1) for number in range(seeds))


def run_id(recipe: str, seed: int) -> str:
    """The id of a recipe's further run."""
    return f"{recipe}{MARK}s{seed}"


class Replicates:
    """Makes the runs of recipes; `default` is the seed of an experiment that has none of its own.

    Knows all runs that it has made, so that a run goes on from the run of the same seed.
    """

    def __init__(self, default: int):
        self._default = default
        self._runs: dict[str, dict[int, str]] = {}

    def of(self, experiment: Experiment, seeds: Seeds | None) -> list[Experiment]:
        """The experiment with each of the seeds (None: its own); a baseline trains nothing and stays one.

        Raises ValueError for a run that cannot be made.
        """
        own = self._default if experiment.seed is None else experiment.seed
        if not experiment.legs:
            return [experiment]
        first, *others = (own,) if seeds is None else listed_seeds(seeds, own)
        runs = [self._run(experiment, experiment.id, first)]
        return [*runs, *(self._run(experiment, run_id(experiment.id, seed), seed) for seed in others)]

    def further(self, experiment: Experiment, seeds: Seeds, phase: str) -> list[Experiment]:
        """Runs of a recipe that is there, with those of the seeds that it has no run of, in a phase of their own."""
        there = self._runs.get(experiment.id, {})
        own = self._default if experiment.seed is None else experiment.seed
        new = [seed for seed in listed_seeds(seeds, own) if seed not in there]
        runs = [self._run(experiment, run_id(experiment.id, seed), seed) for seed in new]
        return [run.model_copy(update={"phase": phase}) for run in runs]

    def _run(self, experiment: Experiment, name: str, seed: int) -> Experiment:
        self._runs.setdefault(experiment.id, {})[seed] = name
        fields: dict[str, object] = {"seed": None if seed == self._default != experiment.seed else seed}
        if experiment.start_from is not None:
            fields["start_from"] = self._start(name, experiment.start_from, seed)
        if name != experiment.id:
            fields |= {"id": name, "replicate_of": experiment.id}
        return Experiment.model_validate(dict(experiment) | fields)

    def _start(self, name: str, start: str, seed: int) -> str:
        """The run of that seed of what it starts from, or its only run; raises ValueError where there is neither."""
        runs = self._runs.get(start, {})
        if len(runs) < 2:
            return start
        if seed not in runs:
            listed = ", ".join(str(one) for one in runs)
            raise ValueError(f"{name!r} starts from {start!r}, which has no run with the seed {seed} (it has {listed})")
        return runs[seed]
