"""The inputs of a report, read once: the tables of a run, its findings, the rows of results.csv, its status.

Owns the lookups that the sections share. Does not know formats or pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.findings import Findings, findings
from regimen.analysis.mean_changes import MeanChange, mean_changes
from regimen.analysis.recipe_scores import RecipeScore, recipe_scores
from regimen.analysis.results_table import ResultRow, result_rows
from regimen.analysis.rules import Rules
from regimen.analysis.strategies import strategy_of
from regimen.plan import Plan, PlannedExperiment
from regimen.report.words import result_link
from regimen.results import EvaluatedFacts, RunFolder, better_sign, facts_of
from regimen.results.facts import Floors
from regimen.results.floors import floors_of
from regimen.results.status import Status, run_status
from regimen.results.tables import RunTables, Trace, baseline_phase
from regimen.study import ZERO_SHOT
from regimen.study.tasks import Task

Tell = Callable[[str], None]  # gets a step of the work when it begins
# The scores that need no language model, by the name of their field in `Floors`.
FLOORS = {"tfidf": "TF-IDF", "majority": "most frequent class", "chance": "chance"}


def silently(step: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class RunReading:
    """The tables of a run, without any analysis."""

    tables: RunTables

    @property
    def plan(self) -> Plan:
        """The plan of the run."""
        return self.tables.plan

    @cached_property
    def planned(self) -> dict[str, PlannedExperiment]:
        """Experiment id -> what is planned of it."""
        return {planned.experiment.id: planned for planned in self.plan.experiments}

    @cached_property
    def trained(self) -> list[PlannedExperiment]:
        """The experiments that train, in the plan's order."""
        return [planned for planned in self.plan.experiments if planned.experiment.legs]

    @cached_property
    def traces(self) -> dict[str, Trace]:
        """Experiment -> its training trace."""
        return self.tables.curves()


@dataclass(frozen=True)
class Reading(RunReading):
    """A run as the report sees it."""

    evidence: Evidence
    findings: Findings
    rows: list[ResultRow]
    status: Status
    means: dict[str, MeanChange]  # by the first run of a recipe

    @cached_property
    def runs(self) -> dict[str, list[PlannedExperiment]]:
        """Recipe -> its runs, in the plan's order."""
        found: dict[str, list[PlannedExperiment]] = {}
        for planned in self.trained:
            found.setdefault(planned.experiment.recipe, []).append(planned)
        return found

    @cached_property
    def over_runs(self) -> dict[tuple[str, str], RecipeScore]:
        """(recipe, main task) -> its mean over runs, for recipes with several."""
        return recipe_scores(self.evidence)

    @cached_property
    def strategy(self) -> dict[str, str]:
        """Trained experiment -> its strategy."""
        study = self.plan.study
        return {planned.experiment.id: strategy_of(study, planned.experiment) for planned in self.trained}

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The main tasks."""
        return self.plan.study.panel("main")

    @cached_property
    def phases(self) -> list[str]:
        """The phases that the plan has experiments of, in order."""
        return list(dict.fromkeys(planned.experiment.phase for planned in self.plan.experiments))

    @cached_property
    def titles(self) -> dict[str, str]:
        """Experiment or task -> its title, with its id behind it where another experiment has the same."""
        titles = {name: planned.experiment.title for name, planned in self.planned.items()}
        shared = {title for title, count in Counter(titles.values()).items() if count > 1}
        found = {name: f"{title} ({name})" if title in shared else title for name, title in titles.items()}
        return found | {name: task.title for name, task in self.plan.study.tasks.items()}

    def phase_of(self, name: str) -> str:
        """The phase of an experiment; "" for what is none."""
        planned = self.planned.get(name)
        return planned.experiment.phase if planned else ""

    @property
    def base_phase(self) -> str:
        """The phase of the baselines, "" where the study has none."""
        return baseline_phase(self.plan.study)

    @cached_property
    def groups(self) -> list[str]:
        """The groups of the main tasks, in order."""
        return list(dict.fromkeys(task.group for task in self.tasks.values()))

    @cached_property
    def by_cell(self) -> dict[tuple[str, str, str], ResultRow]:
        """(experiment, task, metric) -> row of results.csv."""
        return {(row.experiment, row.task, row.metric): row for row in self.rows}

    def row(self, experiment: str, task: str) -> ResultRow | None:
        """The headline row of an experiment on a task; "zero-shot" finds the base's own."""
        headline = self.plan.study.tasks[task].headline
        row = self.by_cell.get((experiment, task, headline))
        if row is None and experiment == ZERO_SHOT:
            cell = self.tables.zero_shot(task)
            return self.by_cell.get((cell.experiment, task, headline)) if cell else None
        return row

    def score(self, recipe: str, task: str) -> float | None:
        """The headline score of a recipe: the mean over its runs where there are several."""
        if over := self.over_runs.get((recipe, task)):
            return over.value
        rows = [row for run in self.runs[recipe] if (row := self.row(run.experiment.id, task))]
        return rows[0].value if rows else None

    def recipe_change(self, recipe: str, task: str) -> float | None:
        """The change of a recipe against zero-shot, up is better: of the mean over its runs where there are several."""
        if over := self.over_runs.get((recipe, task)):
            return over.change
        row = self.recipe_row(recipe, task)
        return self.change(row.experiment, task) if row else None

    def recipe_row(self, recipe: str, task: str) -> ResultRow | None:
        """The headline row of the first of a recipe's runs that has one; that of the base for zero-shot."""
        names = [run.experiment.id for run in self.runs.get(recipe, ())] or [recipe]
        return next((row for name in names if (row := self.row(name, task))), None)

    def skipped(self, experiment: str, task: str) -> str | None:
        """Why a cell was skipped, if it was."""
        cell = self.tables.cells.get((experiment, task))
        return cell.skipped if cell else None

    def change(self, experiment: str, task: str) -> float | None:
        """The change against zero-shot, turned so that up is better."""
        row = self.row(experiment, task)
        return None if row is None or row.delta is None else row.delta * better_sign(row.metric)

    def is_clear(self, row: ResultRow) -> bool:
        """Whether the change of a row is clear of zero after the correction over the grid."""
        return row.p_adjusted is not None and row.p_adjusted <= self.findings.method.alpha

    def without_twins(self, experiment: str, task: str, metric: str) -> float | None:
        """The value without test items that have near twins in training rows; None where no item has one."""
        planned = self.planned.get(experiment)
        stage = next((one.stage for one in planned.all_evaluations if one.key == task), None) if planned else None
        facts = facts_of(self.tables.outcomes, stage, EvaluatedFacts)
        return facts.metrics_without_twins.get(metric) if facts else None

    @cached_property
    def floors(self) -> dict[str, Floors]:
        """Task -> its scores without a language model, where its items are rendered."""
        known = {task: floors_of(self.plan, self.tables.outcomes, task) for task in self.plan.study.tasks}
        return {task: floors for task, floors in known.items() if floors is not None}

    def floor(self, kind: str, task: str, metric: str = "") -> float | None:
        """A score of `FLOORS` on a task, of its headline unless a metric is named."""
        lines = self.floors.get(task)
        return getattr(lines, kind).get(metric or self.plan.study.tasks[task].headline) if lines else None

    def with_examples(self, task: str) -> list[ResultRow]:
        """The base's own headline scores with solved examples before each question, fewest first."""
        rows = [row for row in self.rows if row.task == task and row.primary and row.end.shots]
        return sorted(rows, key=lambda row: row.end.shots or 0)

    def link(self, experiment: str) -> str:
        """The address of an experiment's panel in the page, "" for what has none."""
        planned = self.planned.get(experiment)
        return result_link(experiment) if planned and planned.experiment.legs else ""


def read(folder: RunFolder, plan: Plan, rules: Rules | None = None, tell: Tell = silently) -> Reading:
    """Reads a run folder, whole or half-finished; tells the step under way."""
    tell("reading scores")
    tables = RunTables(folder, plan)
    evidence = Evidence(tables, rules)
    tell("testing differences from zero-shot")
    grid = exploratory_grid(evidence)
    tell("answering the questions")
    found = findings(evidence, grid)
    tell("computing intervals")
    rows = result_rows(evidence, grid)
    return Reading(tables, evidence, found, rows, run_status(folder, plan), mean_changes(evidence))
