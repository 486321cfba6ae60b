"""A whole study, resolved: every shorthand unfolded, one profile's values put in, every name checked.

Owns `Study`. Does not know the checks between its parts (`study.consistency`), files, plans or rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from regimen.errors import UsageError
from regimen.study.axes import base_label
from regimen.study.endpoints import ZERO_SHOT, EndPoint
from regimen.study.margins import DEFAULT_MARGINS, Margins
from regimen.study.questions import Contrast, Gate, Question
from regimen.study.recipes import MARK, Crossed, Recipe, chosen_by, crossed_of, recipes_of
from regimen.study.schema import (
    Adapter,
    Base,
    Batch,
    Cost,
    Experiment,
    LegKind,
    OwnValidate,
    Phase,
    Schedule,
    Validate,
)
from regimen.study.sources import Source
from regimen.study.tasks import Evaluation, Task
from regimen.study.values import Count, Frozen, Name, Seed

FULL = "full"


class Study(Frozen):
    """A whole study, as literals only. `data` "miniature" reads the package's own small copies of the sources.

    `seed` is the training seed: of the order of rows and the adapter's first weights. `item_seed` (default: the same)
    decides which test items are drawn and how rows are put into blocks, so runs of one recipe share both. `test_rows`
    says how many test items tasks have, so that a plan can tell what effects they show; a run counts them itself.
    """

    study: Name
    title: str = ""
    profile: str = FULL
    seed: Seed = 17
    item_seed: Seed | None = None
    data: Literal["hub", "miniature"] = "hub"
    base: Base
    adapter: Adapter = Adapter()
    batch: Batch = Batch()
    schedule: Schedule
    validation: OwnValidate = None
    evaluation: Evaluation = Evaluation()
    cost: Cost = Cost()
    phases: dict[str, Phase]
    sources: dict[Name, Source]
    tasks: dict[Name, Task]
    experiments: tuple[Experiment, ...]
    tracks: dict[str, tuple[str, ...]]
    questions: dict[str, Question[Contrast]] = Field(default_factory=dict)
    gate: Gate | None = None
    margin: Margins = Field(default_factory=dict)
    test_rows: dict[Name, Count] = Field(default_factory=dict)

    def experiment(self, name: str) -> Experiment:
        """The experiment of that id; raises UsageError naming the nearest ids."""
        for experiment in self.experiments:
            if experiment.id == name:
                return experiment
        raise UsageError(unknown_text("experiment", name, [e.id for e in self.experiments]))

    def track(self, name: str) -> tuple[Experiment, ...]:
        """The experiments of a track, in the study's order; raises UsageError for an unknown track.

        `chosen_by` says what a pattern chooses.
        """
        if name not in self.tracks:
            raise UsageError(unknown_text("track", name, self.tracks))
        return chosen_by(self.tracks[name], self.experiments)

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The recipes, each with its runs, in the study's order."""
        return recipes_of(self.experiments)

    @property
    def crossed(self) -> Crossed:
        """The crossed design, {set: {strategy: recipes}}; empty where the study declares none."""
        return crossed_of(self.recipes)

    @property
    def full_track(self) -> tuple[Experiment, ...]:
        """The experiments of the track "full", or all of them where the study has no such track."""
        return self.track(FULL) if FULL in self.tracks else self.experiments

    def panel(self, name: str) -> dict[str, Task]:
        """The tasks of one panel ("main", "own", "text"), in order."""
        return {key: task for key, task in self.tasks.items() if task.panel == name}

    def margin_of(self, task: str) -> float | None:
        """The difference in the task's headline metric that would matter.

        The task's own, else the study's for that metric, else the default; None for a metric without any.
        """
        shape = self.tasks[task]
        return shape.margin or self.margin.get(shape.headline) or DEFAULT_MARGINS.get(shape.headline)

    def adapter_of(self, experiment: Experiment) -> Adapter:
        """The experiment's own adapter settings, or the study's."""
        return experiment.adapter or self.adapter

    def base_of(self, experiment: Experiment) -> Base:
        """The experiment's own base, or the study's."""
        return experiment.base or self.base

    def batch_of(self, experiment: Experiment) -> Batch:
        """The experiment's own batch, or the study's."""
        return experiment.batch or self.batch

    def schedule_of(self, experiment: Experiment) -> Schedule:
        """The experiment's own schedule, or the study's."""
        return experiment.schedule or self.schedule

    def learning_rate_of(self, experiment: Experiment, kind: LegKind) -> float | None:
        """The peak learning rate of the experiment's legs of that kind; None where it is chosen by tuning."""
        if experiment.tune is not None:
            return None
        return experiment.learning_rate or getattr(self.schedule_of(experiment).learning_rate, kind)

    def step_size(self, batch: Batch) -> float:
        """The tokens of a step of that batch, in those of a step of the study's own: what a step costs by the plan."""
        return batch.sequences * batch.block / (self.batch.sequences * self.batch.block)

    @property
    def bases(self) -> tuple[Base, ...]:
        """All bases, the study's own first."""
        return tuple(dict.fromkeys([self.base, *(self.base_of(experiment) for experiment in self.experiments)]))

    def zero_shot_of(self, base: Base) -> EndPoint:
        """The end point of a base as it is: "zero-shot" of the study's own, "zero-shot~{base}" of another."""
        return EndPoint.base() if base == self.base else EndPoint(f"{ZERO_SHOT}{MARK}{base_label(base)}")

    def validation_of(self, experiment: Experiment) -> Validate | None:
        """How the experiment is looked at on validation rows: its own way, or the study's."""
        return experiment.validation or self.validation

    def seed_of(self, experiment: Experiment) -> int:
        """The experiment's own seed, or the study's."""
        return self.seed if experiment.seed is None else experiment.seed

    @property
    def seed_of_items(self) -> int:
        """The seed by which test items are drawn and rows are put into blocks."""
        return self.seed if self.item_seed is None else self.item_seed


def unknown_text(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not known, with the nearest that are."""
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(name, names, n=3) or names[:12]
    more = "" if len(near) == len(names) or len(names) <= len(near) else ", ..."
    return f"no {what} {name!r}; there is {', '.join(near)}{more}"


def unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not known, with the nearest that are."""
    return UsageError(unknown_text(what, name, known))
