"""All groups of a study file -> its experiments: each group unfolded, varied along its axes, run with its seeds.

Owns the order of these and the limit of experiments. Does not know YAML.
"""

from __future__ import annotations

from collections.abc import Sequence

from regimen.study.axes import SEED, AxisFault, Parts, Scaled, Vary, put_in, suffix, varied
from regimen.study.file import BaselineGroup, Common, ExperimentFile, Group, ReplicateGroup, Scale, StudyFile
from regimen.study.precision import settled
from regimen.study.recipes import Replicates, chosen_by, recipes_of
from regimen.study.schema import Experiment
from regimen.study.tuning import Tune, TuneFault
from regimen.study.unfolding import unfold
from regimen.study.values import Seeds

MAX_EXPERIMENTS = 10_000


class Groups:
    """Unfolds one group after another; `experiments` are those so far."""

    def __init__(self, file: StudyFile, steps: Scale, rows: Scale, parts: Parts):
        self.experiments: list[Experiment] = []
        self._file = file
        self._steps = steps
        self._rows = rows
        self._parts = parts
        self._replicates = Replicates(file.seed)

    def add(self, group: Group) -> None:
        """Adds the experiments of a group; raises ValueError (AxisFault of an axis) for one that cannot be unfolded."""
        if isinstance(group, ReplicateGroup):
            self.experiments += _further_runs(group, self.experiments, self._replicates)
            return
        seeds = _seeds_of(self._file, group)
        plain = [self._with_rows(one) for one in unfold(group, self._file.tasks, self._steps, self._parts)]
        runs = 1 if seeds is None else len(seeds) if isinstance(seeds, tuple) else seeds
        self._check_count(len(plain) * (group.vary.count if group.vary else 1) * runs)
        for recipe in self._variants(group, plain, group.vary) if group.vary else plain:
            base = None if recipe.base is None else settled(recipe.base)
            one = recipe.model_copy(update={"base": None if base == self._parts.base else base})
            one = one if one.tune is None else _with_candidates(one, one.tune, self._parts)
            self.experiments += self._replicates.of(one, seeds)

    def _with_rows(self, experiment: Experiment) -> Experiment:
        """The experiment with its rows as the profile scales them."""
        rows = experiment.rows
        return experiment if rows is None else experiment.model_copy(update={"rows": self._rows.scaled(rows)})

    def _check_count(self, more: int) -> None:
        count = len(self.experiments) + more
        if count > MAX_EXPERIMENTS:
            raise ValueError(
                f"with this group the study has {count:,} experiments; the limit is {MAX_EXPERIMENTS:,}, so give its "
                "axes and seeds fewer values"
            )

    def _variants(self, group: Common, plain: Sequence[Experiment], vary: Vary) -> list[Experiment]:
        """Each experiment with each combination; a chain keeps to its settings where what it starts from has them."""
        _check_axes(group, vary)
        known = {experiment.id for experiment in self.experiments}
        made: dict[str, Experiment] = {}
        scaled = Scaled(self._steps.scaled, self._rows.scaled)
        for experiment in plain:
            for combination in vary.combinations():
                settings = put_in(experiment, combination, self._parts, scaled)
                one = varied(experiment, settings, self._parts)
                same = f"{experiment.start_from}{suffix(settings)}"
                if same in made or same in known:
                    one = one.model_copy(update={"start_from": same})
                if one.id in made:
                    raise ValueError(f"two combinations of `vary` are called {one.id!r}; leave out values that repeat")
                made[one.id] = one
        return list(made.values())


def _with_candidates(experiment: Experiment, tune: Tune, parts: Parts) -> Experiment:
    """The experiment with numbers for the rates that are chosen among; raises TuneFault where none can be."""
    if not experiment.legs:
        raise TuneFault("a baseline trains nothing, so it has no learning rate to choose; leave `tune` out")
    if len(experiment.legs) > 1:
        raise TuneFault(
            f"{experiment.id!r} has {len(experiment.legs)} legs; `tune` chooses the learning rate of trainings of one "
            "leg, so make each leg a stage of a chain, or leave `tune` out"
        )
    usual = getattr((experiment.schedule or parts.schedule).learning_rate, experiment.kind)
    resolved = tune.resolved(experiment.learning_rate or usual)
    return experiment.model_copy(update={"tune": resolved, "learning_rate": None})


def _check_axes(group: Common, vary: Vary) -> None:
    for axis in vary.axes:
        if axis == "learning_rate" and group.tune is not None:
            raise TuneFault("a group has `tune` or the axis `learning_rate`, not both; leave one of them out")
        if isinstance(group, BaselineGroup) and axis != "base":
            raise AxisFault(axis, f"a baseline trains nothing, so {axis!r} cannot vary; leave it out (`base` may vary)")
        if axis == SEED and (group.seed is not None or group.seeds is not None):
            raise AxisFault(axis, "a group has `seed`, `seeds` or the axis `seed`; give one of them")


def _seeds_of(file: StudyFile, group: Common) -> Seeds | None:
    """The group's seeds, else its phase's, else the study's; a group with one `seed` of its own keeps that."""
    if group.seeds is not None and group.seed is not None:
        raise ValueError("a group has `seed` or `seeds`, not both")
    if group.vary is not None and group.vary.seeds is not None:
        return group.vary.seeds
    if group.seeds is not None or group.seed is not None:
        return group.seeds
    if isinstance(group, ExperimentFile) and group.replicate_of is not None:
        return None
    phase = file.phases.get(group.phase)
    return phase.seeds if phase is not None and phase.seeds is not None else file.seeds


def _further_runs(group: ReplicateGroup, before: Sequence[Experiment], replicates: Replicates) -> list[Experiment]:
    """The runs of a group of replicates; raises ValueError for a pattern that no recipe before it has."""
    for pattern in group.replicates:
        if not any(one.legs for one in chosen_by([pattern], before)):
            raise ValueError(f"`replicates` {pattern!r} matches no training that stands before it")
    chosen = [recipe.first for recipe in recipes_of(chosen_by(group.replicates, before)) if recipe.first.legs]
    return [run for first in chosen for run in replicates.further(first, group.seeds, group.phase)]
