"""A whole study, resolved: every shorthand unfolded, one profile's values put in, every name checked.

Owns `Study` and the checks between its parts. Does not know files, plans or rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from regimen.errors import UsageError
from regimen.study.axes import base_label
from regimen.study.endpoints import ZERO_SHOT, EndPoint
from regimen.study.margins import DEFAULT_MARGINS, Margins
from regimen.study.questions import Contrast, Gate, Question
from regimen.study.recipes import MARK, Recipe, chosen_by, recipes_of
from regimen.study.schema import Adapter, Base, Batch, Cost, Experiment, LegKind, Phase, Schedule
from regimen.study.sources import Source
from regimen.study.tasks import Evaluation, Task
from regimen.study.values import Frozen, Name, Seed

FULL = "full"


class Study(Frozen):
    """A whole study, as literals only. `data` "miniature" reads the package's own small copies of the sources.

    `seed` is the training seed: of the order of rows and the adapter's first weights. `item_seed` (default: the same)
    decides which test items are drawn and how rows are put into blocks, so runs of one recipe share both.
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

    def experiment(self, name: str) -> Experiment:
        """The experiment of that id; raises UsageError naming the nearest ids."""
        for experiment in self.experiments:
            if experiment.id == name:
                return experiment
        raise UsageError(_unknown("experiment", name, [e.id for e in self.experiments]))

    def track(self, name: str) -> tuple[Experiment, ...]:
        """The experiments of a track, in the study's order; raises UsageError for an unknown track.

        `chosen_by` says what a pattern chooses.
        """
        if name not in self.tracks:
            raise UsageError(_unknown("track", name, self.tracks))
        return chosen_by(self.tracks[name], self.experiments)

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The recipes, each with its runs, in the study's order."""
        return recipes_of(self.experiments)

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

    def learning_rate_of(self, experiment: Experiment, kind: LegKind) -> float:
        """The peak learning rate of the experiment's legs of that kind."""
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

    def seed_of(self, experiment: Experiment) -> int:
        """The experiment's own seed, or the study's."""
        return self.seed if experiment.seed is None else experiment.seed

    @property
    def seed_of_items(self) -> int:
        """The seed by which test items are drawn and rows are put into blocks."""
        return self.seed if self.item_seed is None else self.item_seed


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(name, names, n=3) or names[:12]
    more = "" if len(near) == len(names) or len(names) <= len(near) else ", ..."
    return f"no {what} {name!r}; there is {', '.join(near)}{more}"


def unknown_name(what: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not known, with the nearest that are."""
    return UsageError(_unknown(what, name, known))


def faults_of(study: Study) -> list[tuple[tuple[str, ...], str]]:
    """Faults between the parts of a study, each with the path of the part it stands in."""
    return [
        *_source_faults(study),
        *_task_faults(study),
        *_experiment_faults(study),
        *_track_faults(study),
    ]


def _source_faults(study: Study) -> list[tuple[tuple[str, ...], str]]:
    faults = []
    for name, source in study.sources.items():
        for other in source.held_out.not_in if source.held_out else ():
            if other not in study.sources:
                faults.append((("sources", name, "held_out"), f"no source {other!r} in this study"))
    return faults


def _task_faults(study: Study) -> list[tuple[tuple[str, ...], str]]:
    faults: list[tuple[tuple[str, ...], str]] = []
    for name, task in study.tasks.items():
        for source_name in task.source:
            source = study.sources.get(source_name)
            place = ("tasks", name, "source")
            if source is None:
                faults.append((place, f"no source {source_name!r} in this study"))
            elif source.held_out is None and not source.is_only_tested_on:
                faults.append((place, f"the source {source_name!r} has no `held_out` rows to test on"))
            elif task.scoring == "choice" and source.form.label is None and source.form.options is None:
                faults.append((place, f"{source_name!r} has neither `label` nor `options` to choose from"))
            elif "f1" in task.metrics and (fault := _positive_fault(task, source_name, source)):
                faults.append((("tasks", name, "metrics"), fault))
            elif task.scoring in ("generation", "execution") and not source.form.is_asked:
                faults.append((place, f"the form of {source_name!r} has neither `prompt` nor `messages`"))
            elif source.form.messages is not None and any(study.evaluation.baseline_shots):
                faults.append(
                    (
                        place,
                        f"{source_name!r} holds conversations, so set `baseline_shots: [0]`",
                    )
                )
    return faults


def _positive_fault(task: Task, name: str, source: Source) -> str | None:
    """Why the metric f1 cannot be computed for the task, or None."""
    label = source.form.label
    if label is None:
        return f"f1 scores one class of two, but each row of {name!r} has `options` of its own; use accuracy"
    if len(label.choices) != 2:
        return f"f1 scores one class of two, but the label of {name!r} has {len(label.choices)}; use macro-f1"
    if task.positive is not None and task.positive not in label.choices:
        return _unknown("class", task.positive, label.choices) + "; `positive` is one of the label's names"
    return None


def _experiment_faults(study: Study) -> list[tuple[tuple[str, ...], str]]:
    faults: list[tuple[tuple[str, ...], str]] = []
    seen: set[str] = set()
    by_id = {experiment.id: experiment for experiment in study.experiments}
    baselines = {experiment.id for experiment in study.experiments if not experiment.legs}
    for experiment in study.experiments:
        place = ("experiments", experiment.id)
        if experiment.id == ZERO_SHOT:
            faults.append((place, f"the id {ZERO_SHOT!r} means the base; choose another"))
        if experiment.id in seen:
            faults.append((place, "this id appears twice"))
        if experiment.start_from is not None and experiment.start_from not in seen:
            why = "must stand before it" if experiment.start_from in by_id else "is no experiment of this study"
            faults.append((place, f"`start_from` {experiment.start_from!r} {why}"))
        if experiment.start_from in baselines:
            faults.append((place, f"`start_from` {experiment.start_from!r} is a baseline, which trains nothing"))
        seen.add(experiment.id)
        if (experiment.task is None) == (not experiment.legs):
            faults.append((place, "needs either a `task` (a baseline) or legs (a training)"))
        if experiment.task is not None and experiment.task not in study.tasks:
            faults.append((place, f"no task {experiment.task!r} in this study"))
        if study.phases and experiment.phase not in study.phases:
            faults.append((place, f"no phase {experiment.phase!r}; the phases are {', '.join(study.phases)}"))
        faults += [(place, fault) for fault in _replicate_faults(by_id, experiment)]
        faults += [(place, fault) for fault in _chain_faults(study, by_id.get(experiment.start_from or ""), experiment)]
        for leg in experiment.legs:
            faults += [(place, fault) for fault in _leg_faults(study, leg.kind, list(leg.mixture))]
    return faults


def _replicate_faults(by_id: Mapping[str, Experiment], experiment: Experiment) -> list[str]:
    """Faults of a further run of a recipe: what it names is no first run, or differs in more than the seed."""
    if experiment.replicate_of is None:
        return []
    first = by_id.get(experiment.replicate_of)
    if first is None or first.replicate_of is not None:
        return [f"`replicate_of` {experiment.replicate_of!r} is not the first run of a recipe of this study"]
    own = {"id", "phase", "title", "seed", "start_from", "replicate_of"}
    differing = [name for name, value in experiment if name not in own and value != getattr(first, name)]
    if differing:
        return [f"differs from {first.id!r} in {', '.join(differing)}; runs of one recipe differ in the seed alone"]
    return []


def _chain_faults(study: Study, before: Experiment | None, experiment: Experiment) -> list[str]:
    """Faults of a training that follows another, between the two adapters.

    Where a chain continues, both must have one adapter. Where it merges, each end is merged with its own adapter, but
    a full fine-tuning leaves no adapter to merge.
    """
    own = study.adapter_of(experiment)
    if before is not None and study.base_of(before) != study.base_of(experiment):
        names = [study.base_of(one).id for one in (experiment, before)]
        return [f"{experiment.id!r} continues {before.id!r} on another base ({names[0]} instead of {names[1]})"]
    if study.schedule_of(experiment).chain == "merge_then_new":
        stages = [e for e in (before, experiment) if e is not None and study.adapter_of(e).method == "full"]
        if not stages or (before is None and len(experiment.legs) < 2):
            return []
        return [
            f"{stages[0].id!r} trains all weights (method full), so there is no adapter to merge into the base between "
            f"the legs of {experiment.id!r}; set `schedule.chain` to continue, or `method` to lora"
        ]
    if before is None or not (differing := _differing(study.adapter_of(before), own)):
        return []
    return [
        f"{experiment.id!r} continues {before.id!r} with another adapter ({differing}), but a chain trains one adapter "
        "on; give both the same `adapter`, or set `schedule.chain` to merge_then_new"
    ]


def _differing(before: Adapter, own: Adapter) -> str:
    """The fields in which two adapters differ, as "rank 8 instead of 4"; those of LoRA alone only where both are."""
    fields = ("method",) if "full" in (before.method, own.method) else ("rank", "alpha", "targets")
    changed = [(name, getattr(before, name), getattr(own, name)) for name in fields]
    return ", ".join(f"{name} {_shown(new)} instead of {_shown(old)}" for name, old, new in changed if old != new)


def _shown(value: object) -> str:
    return "+".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


def _leg_faults(study: Study, kind: str, mixture: list[str]) -> list[str]:
    faults = []
    for name in mixture:
        source = study.sources.get(name)
        if source is None:
            faults.append(_unknown("source", name, study.sources))
        elif source.split is None:
            faults.append(f"the source {name!r} has no training split")
        elif kind == "finetune" and not source.form.is_asked:
            faults.append(f"the source {name!r} has no prompt and answer to fine-tune on")
        elif kind == "pretrain" and source.form.messages is not None and source.form.text is None:
            faults.append(f"the source {name!r} holds conversations; give its form a `text` to pretrain on")
    return faults


def _track_faults(study: Study) -> list[tuple[tuple[str, ...], str]]:
    faults: list[tuple[tuple[str, ...], str]] = []
    for name, phase in study.phases.items():
        faults += [
            (("phases", name, "after"), f"no phase {other!r} in this study")
            for other in phase.after
            if other not in study.phases
        ]
    for name, patterns in study.tracks.items():
        chosen = {e.id for e in study.track(name)}
        for pattern in patterns:
            if not chosen_by([pattern], study.experiments):
                faults.append((("tracks", name), f"{pattern!r} matches no experiment"))
        for experiment in study.experiments:
            start = experiment.start_from
            if experiment.id in chosen and start is not None and start not in chosen:
                faults.append((("tracks", name), f"{experiment.id!r} continues {start!r}, which is not in it"))
    return faults
