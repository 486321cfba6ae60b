"""Tidy tables of a run: one row for each experiment, task and metric that has a value; and what is missing.

Owns the reading of outcomes into rows. Reads what is there; a missing cell is left out here and named by
`missing_cells`. Does not know statistics.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Required, TypedDict, cast

from regimen.plan import Plan, PlannedEvaluation, PlannedExperiment, TrainSpec
from regimen.results import layout
from regimen.results.amounts import amounts_of
from regimen.results.external import EXTERNAL, ExternalRow, is_external, read_external
from regimen.results.facts import EvaluatedFacts
from regimen.results.outcomes import Outcome
from regimen.results.run_folder import RunFolder
from regimen.results.tuning import chosen_rate, way_to
from regimen.study import ZERO_SHOT, Base, EndPoint, Study
from regimen.study.axes import shown


@dataclass(frozen=True, kw_only=True)
class RunColumns:
    """What an experiment was trained by and on, in results.csv; None where it trains nothing or is not recorded.

    `recipe` is what runs with other seeds share; `rows` are those of each source, "all" without a limit. `unique_rows`,
    `epochs` and `tokens` are of the whole recipe, what it starts from counted. `varied` holds the axes of its group.
    `external`: the answers of another system (`results.external`).
    """

    seed: int | None = None
    learning_rate: float | None = None
    rank: int | None = None
    unique_rows: int | None = None
    epochs: float | None = None
    tokens: int | None = None
    recipe: str | None = None
    base: str | None = None
    steps: int | None = None
    rows: str | None = None
    varied: str | None = None
    external: bool = False


COLUMNS = (
    "experiment",
    "phase",
    "task",
    "group",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "baseline",
    "delta",
    "delta_ci_low",
    "delta_ci_high",
    "p_value",
    "p_adjusted",
    "primary",
    "adapter",
    *(one.name for one in fields(RunColumns)),
)


class TracePoint(TypedDict, total=False):
    """An optimiser step of a training: its leg (from 1), the part of the leg, and the values of its line on disk."""

    leg: Required[int]
    part: Required[str]
    step: Required[int]
    loss: float
    lr: float
    tokens: int


Trace = list[TracePoint]


@dataclass(frozen=True, kw_only=True)
class MetricRow(RunColumns):
    """A row of results.csv without its statistics."""

    experiment: str
    phase: str
    task: str
    group: str
    metric: str
    value: float
    n: int
    baseline: float | None
    delta: float | None
    primary: bool
    adapter: str


@dataclass(frozen=True)
class Cell:
    """One evaluation of one end point: its task, metrics, items, and the folder of its item rows."""

    end: EndPoint
    phase: str
    task: str
    panel: str
    group: str
    headline: str
    metrics: dict[str, float]
    items: int
    folder: Path
    adapter: str
    skipped: str | None = None
    without_value: Mapping[str, str] = field(default_factory=dict)

    @property
    def experiment(self) -> str:
        """The experiment whose end it is, or "zero-shot"."""
        return self.end.experiment

    @property
    def key(self) -> str:
        """Its name within the experiment: "task", "task@leg", "task:5-shot"."""
        return self.end.on(self.task)


class RunTables:
    """The contents of a run folder, read once; `damaged` gives the reason why a stage counts as missing."""

    def __init__(self, folder: RunFolder, plan: Plan):
        self.folder = folder
        self.plan = plan
        self._planned = {planned.experiment.id: planned for planned in plan.experiments}
        contents = folder.read(plan)
        self.external = read_external(folder.path, plan)
        self.outcomes: dict[str, Outcome] = contents.outcomes
        self.damaged: dict[str, str] = contents.damaged
        self.cells = {(cell.experiment, cell.key): cell for cell in self._cells()}

    def _folder(self, stage: str) -> str:
        """The name of a stage's folder, on disk if it is there."""
        return self.folder.folder(self.plan.stages[stage]).path.name

    def _cells(self) -> Iterator[Cell]:
        for planned in self.plan.experiments:
            adapter = self._folder(planned.ends[-1]) if planned.ends else ""
            for evaluation in planned.all_evaluations:
                if evaluation.stage in self.outcomes:
                    yield self._cell(evaluation, planned.experiment.phase, adapter)
        phase = baseline_phase(self.plan.study)
        for end, stages in {ZERO_SHOT: self.plan.reference, **self.plan.base_references}.items():
            for name, stage in stages.items():
                if stage in self.outcomes:
                    yield self._cell(PlannedEvaluation(EndPoint(end), name, stage), phase, "")
        for row, place in self.external.rows:
            yield self._external_cell(row, place)

    def _external_cell(self, row: ExternalRow, folder: Path) -> Cell:
        task = self.plan.study.tasks[row.task]
        return Cell(
            end=EndPoint(row.id),
            phase=EXTERNAL,
            task=row.task,
            panel=task.panel,
            group=task.group,
            headline=task.headline,
            metrics=row.defined,
            items=row.count,
            folder=folder,
            adapter="",
        )

    def _cell(self, evaluation: PlannedEvaluation, phase: str, adapter: str) -> Cell:
        task = self.plan.study.tasks[evaluation.task]
        facts = self.outcomes[evaluation.stage].facts
        assert isinstance(facts, EvaluatedFacts)
        return Cell(
            end=evaluation.end,
            phase=phase,
            task=evaluation.task,
            panel=task.panel,
            group=task.group,
            headline=task.headline,
            metrics=facts.defined,
            items=facts.items,
            folder=self.folder.folder(self.plan.stages[evaluation.stage]).path,
            adapter=adapter,
            skipped=facts.skipped,
            without_value=facts.without_value,
        )

    def zero_shot(self, task: str, base: Base | None = None) -> Cell | None:
        """A base's own cell on a task, if it is there; by default that of the study's base."""
        study = self.plan.study
        base = base or study.base
        if (cell := self.cells.get((study.zero_shot_of(base).experiment, task))) is not None:
            return cell
        for planned in self.plan.experiments:
            if planned.experiment.task == task and study.base_of(planned.experiment) == base:
                return self.cells.get((planned.experiment.id, task))
        return None

    def base_of(self, experiment: str) -> Base:
        """The base of an experiment, or of the end of a base as it is."""
        study = self.plan.study
        planned = self._planned.get(experiment)
        if planned is not None:
            return study.base_of(planned.experiment)
        return next((base for base in study.bases if study.zero_shot_of(base).experiment == experiment), study.base)

    def run_columns(self, experiment: str) -> RunColumns:
        """What an experiment was trained by and on; of a base as it is only its name."""
        study, planned = self.plan.study, self._planned.get(experiment)
        if is_external(experiment):
            return RunColumns(external=True)
        base = self.base_of(experiment).id
        if planned is None or not planned.experiment.legs:
            return RunColumns(base=base, recipe=experiment if planned is None else planned.experiment.recipe)
        own = planned.experiment
        adapter, amounts = study.adapter_of(own), amounts_of(self.plan, self.outcomes, self._planned, experiment)
        return RunColumns(
            seed=study.seed_of(own),
            learning_rate=study.learning_rate_of(own, own.legs[-1].kind) or chosen_rate(self.outcomes, planned),
            rank=adapter.rank if adapter.method == "lora" else None,
            unique_rows=amounts.unique_rows if amounts else None,
            epochs=amounts.epochs if amounts else None,
            tokens=amounts.tokens if amounts else None,
            recipe=own.recipe,
            base=base,
            steps=planned.steps,
            rows="all" if own.rows is None else str(own.rows),
            varied=" ".join(f"{axis}={shown(axis, value)}" for axis, value in own.varied.items()) or None,
        )

    def missing_cells(self) -> list[tuple[str, str]]:
        """(experiment, task) of the main evaluations that are planned and not there."""
        return [
            (planned.experiment.id, task)
            for planned in self.plan.experiments
            for task in planned.evaluations
            if (planned.experiment.id, task) not in self.cells
        ]

    def rows(self) -> list[MetricRow]:
        """The rows of results.csv, without statistics."""
        rows = []
        for cell in self.cells.values():
            if cell.skipped is not None or cell.end.leg is not None:
                continue
            zero = self.zero_shot(cell.task, self.base_of(cell.experiment))
            own = asdict(self.run_columns(cell.experiment))
            for metric, value in cell.metrics.items():
                baseline = zero.metrics.get(metric) if zero else None
                row = MetricRow(
                    experiment=str(cell.end),
                    phase=cell.phase,
                    task=cell.task,
                    group=cell.group,
                    metric=metric,
                    value=value,
                    n=cell.items,
                    baseline=baseline,
                    delta=None if baseline is None else value - baseline,
                    primary=metric == cell.headline,
                    adapter=cell.adapter,
                    **own,
                )
                rows.append(row)
        return rows

    def curves(self) -> dict[str, Trace]:
        """Per experiment the trace of its training."""
        return {
            planned.experiment.id: trace
            for planned in self.plan.experiments
            if planned.trainings and (trace := self._trace(planned))
        }

    def _trace(self, planned: PlannedExperiment) -> Trace:
        trace: Trace = []
        leg = 0
        for name in way_to(self.plan, self.outcomes, planned):
            stage = self.plan.stages[name]
            assert isinstance(stage, TrainSpec)
            if stage.parent is None:
                leg += 1
            if name not in self.damaged:
                lines = _lines(self.folder.folder(stage).path / layout.METRICS)
                trace += [cast(TracePoint, {"leg": leg, "part": stage.part, **line}) for line in lines]
        return trace


def _lines(path: Path) -> list[Mapping[str, Any]]:
    """The lines of a trace; none where it is not there or was cut short by an earlier version."""
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []


def baseline_phase(study: Study) -> str:
    """The phase of the study's baselines, which are the experiments that train nothing; "" where there is none."""
    return next((experiment.phase for experiment in study.experiments if experiment.task is not None), "")
