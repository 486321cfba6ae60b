"""Two experiments of a run side by side: the differences of their recipes, and of their scores on each task.

Owns the recipe as plain values and the paired differences, Holm over the tasks that are shown. Does not know terminals
or pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from regimen.analysis.contrasts import Comparison, compare
from regimen.analysis.declared_contrasts import in_runs
from regimen.analysis.evidence import Evidence
from regimen.analysis.records import cut
from regimen.analysis.replicates import runs_behind
from regimen.analysis.strategies import recipe_hours, recipe_legs, strategy_of
from regimen.results.outcomes import differences
from regimen.study import ZERO_SHOT, EndPoint, Leg, Pair, unknown_name


@dataclass(frozen=True)
class RecipeDifference:
    """A field in which two recipes differ."""

    field: str
    a: object
    b: object

    @property
    def label(self) -> str:
        """The field in words, as in "leg 1"."""
        return self.field.replace("legs.", "leg ").replace("gpu_hours", "GPU-hours").replace("_", " ")

    @property
    def values(self) -> tuple[str, str]:
        """Both values in words; "" for none."""
        return _words(self.a), _words(self.b)


@dataclass(frozen=True)
class TaskDifference:
    """The two scores on a task, and the test of their difference where both are there."""

    task: str
    metric: str
    a: float | None
    b: float | None
    comparison: Comparison | None
    statement: str

    @property
    def status(self) -> str:
        """ "tested", "missing" or "skipped"."""
        return "tested" if self.comparison else "skipped" if self.statement == "skipped" else "missing"

    def record(self) -> dict[str, object]:
        """As JSON holds it; the numbers are left out where it was not tested."""
        found = self.comparison
        return {
            **{name: getattr(self, name) for name in ("task", "metric", "a", "b", "status")},
            **({"outcome": found.outcome, **found.record()} if found else {}),
            "statement": self.statement,
        }


@dataclass(frozen=True)
class ExperimentComparison:
    """Two experiments side by side; every difference is of `a` over `b`, turned so that up is better."""

    a: str
    b: str
    recipe: Sequence[RecipeDifference]
    tasks: Sequence[TaskDifference]


def compare_experiments(evidence: Evidence, one: str, other: str, tasks: Sequence[str] = ()) -> ExperimentComparison:
    """The recipes' differences and the scores'.

    `tasks` limits them (default: every task on which both have a score, and the main ones besides). Raises UsageError
    for an experiment or a task that the study does not have.
    """
    study = evidence.study
    for task in tasks:
        if task not in study.tasks:
            raise unknown_name("task", task, study.tasks)
    recipes = [recipe_of(evidence, name) for name in (one, other)]
    fields = [RecipeDifference(field, a, b) for field, a, b in differences(recipes[0], recipes[1])]
    shown = [task for task in tasks or study.tasks if tasks or _relevant(evidence, one, other, task)]
    return cut(ExperimentComparison(one, other, fields, _rows(evidence, one, other, shown)))


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items() if inner is not None)
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def recipe_of(evidence: Evidence, name: str) -> dict[str, object]:
    """An experiment as plain values, with all that it starts from; "zero-shot" has no legs."""
    if name == ZERO_SHOT:
        return {"strategy": ZERO_SHOT, "legs": {}, "gpu_hours": evidence.study.cost.baseline_gpu_hours}
    experiment = evidence.study.experiment(name)
    legs = recipe_legs(evidence.study, experiment)
    return {
        "strategy": strategy_of(evidence.study, experiment),
        "legs": {str(number): _leg(leg) for number, leg in enumerate(legs, start=1)},
        "adapter": evidence.study.adapter_of(experiment).model_dump(mode="json"),
        "learning_rate": experiment.learning_rate,
        "seed": evidence.study.seed_of(experiment),
        "gpu_hours": round(recipe_hours(evidence.plan, experiment), 6),
    }


def _leg(leg: Leg) -> str:
    """A leg in words, as in "finetune imdb:40 sst2:60, 5,000 steps"."""
    shares = " ".join(f"{source}:{100 * share:g}" for source, share in leg.shares.items())
    return f"{leg.kind} {shares}, {leg.steps:,} steps"


def _relevant(evidence: Evidence, one: str, other: str, task: str) -> bool:
    there = evidence.state(one, task) == evidence.state(other, task) == "there"
    return there or evidence.study.tasks[task].panel == "main"


def _rows(evidence: Evidence, one: str, other: str, tasks: Sequence[str]) -> list[TaskDifference]:
    pairs = {task: Pair(of=EndPoint.parse(one), against=EndPoint.parse(other), task=task) for task in tasks}
    ready = {task: [evidence.settled(pair)] for task, pair in pairs.items() if evidence.pair_state(pair) == "there"}
    scores = {task: found for task in ready if (found := evidence.scores(task)) is not None}
    margins = {task: evidence.study.margin_of(task) for task in ready}
    compared = compare(ready, scores, replace(evidence.rules, declared=None), draws=evidence.draws, margins=margins)
    rows = []
    for task in tasks:
        a, b = (value.point if (value := evidence.value(end, task)) else None for end in (one, other))
        found = compared.get(task)
        if found is None:
            words = "skipped" if evidence.pair_state(pairs[task]) == "skipped" else "not yet"
        else:
            words = f"{in_runs(min(1, runs_behind(evidence, ready[task])))}{found.statement()}; {found.evidence()}"
        rows.append(TaskDifference(task, evidence.study.tasks[task].headline, a, b, found, words))
    return rows
