"""A compiled plan, and its JSON.

Owns the plan's shape: experiments, stages, cohorts, totals, Gantt. Does not know how it is compiled or carried out.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from regimen.plan.choices import ChooseSpec
from regimen.plan.given import AdapterSpec
from regimen.plan.options import CompileOptions
from regimen.plan.stages import EvaluateSpec, ItemsSpec, PrepareSpec, TrainSpec
from regimen.plan.step_times import StepTimes
from regimen.plan.tunings import PlannedTuning
from regimen.study import Study
from regimen.study.endpoints import EndPoint
from regimen.study.recipes import Recipe, recipes_of
from regimen.study.schema import Experiment

if TYPE_CHECKING:
    import pandas as pd

Stage = PrepareSpec | ItemsSpec | AdapterSpec | TrainSpec | ChooseSpec | EvaluateSpec


@dataclass(frozen=True)
class PlannedEvaluation:
    """An end point that is evaluated on a task, and the stage that does it."""

    end: EndPoint
    task: str
    stage: str

    @property
    def key(self) -> str:
        """Its name within the experiment: "task", "task@leg", "task:5-shot"."""
        return self.end.on(self.task)


@dataclass(frozen=True)
class PlannedExperiment:
    """One experiment with the stages it is made of, in order; `ends` holds the last train stage of each leg (or
    the stage of a given adapter that is evaluated as it is).

    `trainings` are its own, `tuning` those by which its learning rate is chosen; the first run of a recipe pays for
    these, with `tuning_steps` more than its `steps`.
    `evaluations` are those of its end on the main tasks, {task: stage}; `further_evaluations` all others.
    """

    experiment: Experiment
    steps: int
    gpu_hours: float
    fast_track: bool
    trainings: tuple[str, ...]
    ends: tuple[str, ...]
    evaluations: dict[str, str]
    further_evaluations: tuple[PlannedEvaluation, ...]
    tuning: PlannedTuning | None = None
    tuning_steps: int = 0

    @property
    def all_trainings(self) -> tuple[str, ...]:
        """The train stages of its tuning, if it has one, and its own; the choices between them."""
        return (*(self.tuning.stages if self.tuning else ()), *self.trainings)

    @property
    def stages(self) -> tuple[str, ...]:
        """Train stages, then evaluations."""
        return (*self.all_trainings, *(planned.stage for planned in self.all_evaluations))

    @property
    def all_evaluations(self) -> tuple[PlannedEvaluation, ...]:
        """Those on the main tasks, then the others."""
        own = EndPoint(self.experiment.id)
        main = (PlannedEvaluation(own, task, stage) for task, stage in self.evaluations.items())
        return (*main, *self.further_evaluations)


@dataclass(frozen=True)
class Cohort:
    """Stages of one kind and shape that are carried out together; fixed at compile time."""

    id: str
    kind: str
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Bar:
    """One bar of a Gantt chart, in hours from the start."""

    label: str
    phase: str
    start_hour: float
    end_hour: float


@dataclass(frozen=True)
class Choice:
    """The experiments chosen and left out, what they cost, the questions they can answer and those left open.

    `open` gives for each question that stays open the titles of what it still needs.
    """

    budget: float
    hours: float
    chosen: tuple[str, ...]
    left_out: tuple[str, ...]
    answerable: tuple[str, ...]
    open: dict[str, tuple[str, ...]]

    def to_json(self) -> dict[str, object]:
        """As JSON."""
        return {
            "budget_hours": self.budget,
            "hours": round(self.hours, 6),
            "chosen": list(self.chosen),
            "left_out": list(self.left_out),
            "answerable": list(self.answerable),
            "open": {name: list(titles) for name, titles in self.open.items()},
        }


@dataclass(frozen=True)
class Plan:
    """A study compiled for one track: everything that is to be done, and what it costs by the plan's rate.

    `reference` holds the study's base as it is on the tasks that it has no baseline for, {task: stage};
    `base_references` the other bases of its experiments, by the name of their end ("zero-shot~{base}"). The Gantt and
    the choice of cohorts are for `gpus` devices, the latter by `times`.
    """

    study: Study
    options: CompileOptions
    experiments: tuple[PlannedExperiment, ...]
    stages: dict[str, Stage]
    cohorts: tuple[Cohort, ...]
    reference: dict[str, str]
    base_references: dict[str, dict[str, str]]
    steps_to_run: int
    gantt: tuple[Bar, ...]
    steps_per_gpu_hour: float
    gpus: int
    times: StepTimes
    budget: Choice | None = None

    @property
    def track(self) -> str:
        """The track it is compiled for."""
        return self.options.track

    @cached_property
    def cohort_of(self) -> dict[str, str]:
        """Stage fingerprint -> cohort id."""
        return {stage: cohort.id for cohort in self.cohorts for stage in cohort.stages}

    def gpu_hours_of(self, training: TrainSpec) -> float:
        """GPU-hours of a train stage by the plan's rate; a step costs by its tokens."""
        return training.steps * self.study.step_size(training.leg.batch) / self.steps_per_gpu_hour

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """The recipes that are planned, each with the runs that are."""
        return recipes_of(planned.experiment for planned in self.experiments)

    def trainings(self) -> Iterator[TrainSpec]:
        """The train stages, each after the stages it begins from."""
        return (stage for stage in self.stages.values() if isinstance(stage, TrainSpec))

    @property
    def totals(self) -> dict[str, Any]:
        """Experiments, steps and GPU-hours, planned and to run, and by phase."""
        by_phase: dict[str, dict[str, float]] = {}
        for planned in self.experiments:
            phase = by_phase.setdefault(planned.experiment.phase, {"experiments": 0, "gpu_hours": 0.0})
            phase["experiments"] += 1
            phase["gpu_hours"] = round(phase["gpu_hours"] + planned.gpu_hours, 6)
        baselines = sum(p.gpu_hours for p in self.experiments if not p.experiment.legs)
        return {
            "experiments": len(self.experiments),
            "recipes": len(self.recipes),
            "steps_planned": sum(planned.steps + planned.tuning_steps for planned in self.experiments),
            "steps_to_run": self.steps_to_run,
            "gpu_hours_planned": round(sum(planned.gpu_hours for planned in self.experiments), 6),
            "gpu_hours_to_run": round(sum(map(self.gpu_hours_of, self.trainings())) + baselines, 6),
            "rate": {"steps_per_gpu_hour": self.steps_per_gpu_hour, "source": "the plan's rate"},
            "by_phase": by_phase,
        }

    def table(self) -> pd.DataFrame:
        """The experiments, one a row: id, phase, title, kind, start_from, sources, steps, gpu_hours, fast_track."""
        import pandas as pd

        columns = ("id", "phase", "title", "kind", "start_from", "sources", "steps", "gpu_hours", "fast_track")
        rows = []
        for planned in self.experiments:
            own = planned.experiment
            sources = " -> ".join(" + ".join(leg.mixture) for leg in own.legs)
            values = (own.id, own.phase, own.title, own.kind, own.start_from, sources)
            rows.append((*values, planned.steps, planned.gpu_hours, planned.fast_track))
        return pd.DataFrame(rows, columns=list(columns))

    def _repr_html_(self) -> str:
        totals = self.totals
        cost = f"{totals['gpu_hours_planned']:,.2f} GPU-hours, {totals['gpu_hours_to_run']:,.2f} after sharing"
        title = html.escape(f"{self.study.study} ({self.study.profile}): {totals['experiments']} experiments, {cost}")
        return f"<p><b>{title}</b></p>{self.table().to_html(index=False, na_rep='')}"

    def to_json(self) -> dict[str, object]:
        """The document that `regimen plan --json` prints."""
        return {
            "study": self.study.study,
            "profile": self.study.profile,
            "track": self.track,
            "experiments": [_experiment_json(self.study, planned) for planned in self.experiments],
            "stages": [self._stage_json(stage) for stage in self.stages.values()],
            "totals": self.totals,
            "gantt": [bar.__dict__ for bar in self.gantt],
            **({"budget": self.budget.to_json()} if self.budget else {}),
        }

    def _stage_json(self, stage: Stage) -> dict[str, object]:
        train = stage if isinstance(stage, TrainSpec) else None
        return {
            "fingerprint": stage.fingerprint,
            "kind": stage.kind,
            "label": stage.label,
            "parent": (train.parent or train.leg.start) if train else None,
            "part": train.part if train else None,
            "first_step": train.first_step if train else 0,
            "last_step": train.last_step if train else 0,
            "cohort": self.cohort_of.get(stage.fingerprint),
        }


def _experiment_json(study: Study, planned: PlannedExperiment) -> dict[str, object]:
    experiment = planned.experiment
    return {
        "id": experiment.id,
        "phase": experiment.phase,
        "title": experiment.title,
        "kind": experiment.kind,
        "steps": planned.steps,
        "start_from": experiment.start_from,
        **({} if experiment.given is None else {"given": experiment.given.model_dump(mode="json")}),
        "recipe": experiment.recipe,
        "seed": study.seed_of(experiment) if experiment.legs else None,
        "base": study.base_of(experiment).id,
        "rows": experiment.rows,
        "varied": dict(experiment.varied),
        "legs": [
            {
                "kind": leg.kind,
                "mixture": [{"source": name, "weight": weight} for name, weight in leg.mixture.items()],
                "steps": leg.steps,
                **({} if leg.epochs is None else {"epochs": leg.epochs}),
            }
            for leg in experiment.legs
        ],
        "gpu_hours": round(planned.gpu_hours, 6),
        **({"tuning": planned.tuning.to_json()} if planned.tuning else {}),
        "fast_track": planned.fast_track,
        "stages": list(planned.stages),
        "evaluations": list(planned.evaluations),
    }
