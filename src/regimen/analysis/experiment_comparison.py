"""Two recipes of a run side by side: the differences of their settings, and of their scores on each task.

Owns the recipe as plain values and the paired differences, Holm over the tasks that are shown. A recipe that was
trained with several seeds is the mean over its runs, with an interval over items and seeds; the id of a further run
(`direct~s18`) is that run alone. Does not know terminals or pages.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from regimen.analysis.contrasts import Comparison, compare
from regimen.analysis.declared_contrasts import in_runs, join_seeds
from regimen.analysis.evidence import Evidence
from regimen.analysis.records import cut
from regimen.analysis.replicates import runs_of, with_seeds
from regimen.analysis.strategies import recipe_hours, recipe_legs, strategy_of
from regimen.results.external import is_external
from regimen.results.outcomes import differences
from regimen.study import ZERO_SHOT, EndPoint, Leg, Pair, unknown_name

if TYPE_CHECKING:
    import pandas as pd


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
    """The two scores on a task, each the mean over `runs`, and the test of their difference where both are there."""

    task: str
    metric: str
    a: float | None
    b: float | None
    comparison: Comparison | None
    statement: str
    runs: tuple[int, int] = (1, 1)

    @property
    def status(self) -> str:
        """ "tested", "missing", "skipped" or "refused"."""
        if self.comparison:
            return "tested"
        first = self.statement.partition(":")[0]
        return first if first in ("skipped", "refused") else "missing"

    def record(self) -> dict[str, object]:
        """As JSON holds it; the numbers are left out where it was not tested."""
        found = self.comparison
        return {
            **{name: getattr(self, name) for name in ("task", "metric", "a", "b", "status")},
            "runs": list(self.runs),
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

    def table(self) -> pd.DataFrame:
        """The tasks, one a row: task, metric, a, b, status; and of those tested estimate, low, high, p, outcome.

        The columns are those of `regimen compare --json`; a statement says each in words.
        """
        import pandas as pd

        return pd.DataFrame([task.record() for task in self.tasks])

    def _repr_html_(self) -> str:
        fields = "".join(
            f"<li>{html.escape(one.label)}: {html.escape(' | '.join(one.values))}</li>" for one in self.recipe
        )
        names = f"<b>{html.escape(self.a)}</b> over <b>{html.escape(self.b)}</b>"
        return f"<p>{names}, up is better</p><ul>{fields}</ul>{self.table().round(3).to_html(index=False, na_rep='')}"


def compare_experiments(evidence: Evidence, one: str, other: str, tasks: Sequence[str] = ()) -> ExperimentComparison:
    """The recipes' differences and the scores'.

    `tasks` limits them (default: every task on which both have a score, and the main ones besides). Raises UsageError
    for an experiment or a task that the study does not have.
    """
    study = evidence.study
    for task in tasks:
        if task not in study.tasks:
            raise unknown_name("task", task, study.tasks)
    fields = recipe_differences((evidence, one), (evidence, other))
    shown = [task for task in tasks or study.tasks if tasks or _relevant(evidence, one, other, task)]
    return cut(ExperimentComparison(one, other, fields, _rows(evidence, one, other, shown)))


def recipe_differences(one: tuple[Evidence, str], other: tuple[Evidence, str]) -> list[RecipeDifference]:
    """The fields in which two recipes differ; each is given with the run that it is of."""
    recipes = [recipe_of(evidence, name) for evidence, name in (one, other)]
    return [RecipeDifference(field, a, b) for field, a, b in differences(recipes[0], recipes[1])]


def recipe_words(evidence: Evidence, name: str) -> list[tuple[str, str]]:
    """Every field of a recipe and its value in words, in order; what is not set is left out."""
    recipe = recipe_of(evidence, name)
    empty = {field: {} for field, value in recipe.items() if isinstance(value, dict)}
    fields = [RecipeDifference(field, value, None) for field, value, _ in differences(recipe, empty)]
    order = list(recipe)
    fields.sort(key=lambda one: order.index(one.field.partition(".")[0]))
    return [(field.label, words) for field in fields if (words := field.values[0])]


def side_runs(evidence: Evidence, name: str, task: str) -> list[str]:
    """The runs with a score on the task of the recipe that has this id; only itself of a further run, or the base."""
    planned = evidence.planned(name)
    if planned is None or planned.experiment.replicate_of is not None:
        return [name] if evidence.state(name, task) == "there" else []
    ends = [str(end) for end in runs_of(evidence, EndPoint.parse(name), task)]
    return [end for end in ends if evidence.state(end, task) == "there"]


def unlike_tokenizers(one: tuple[Evidence, str], other: tuple[Evidence, str], metric: str) -> str | None:
    """Why two recipes cannot be compared by a metric that hangs on the tokenizer, or None."""
    if metric != "perplexity":
        return None
    bases = [evidence.tables.base_of(name) for evidence, name in (one, other)]
    if bases[0].id == bases[1].id:
        return None
    return f"perplexity hangs on the tokenizer, and the bases are {bases[0].id} and {bases[1].id}; use bits-per-byte"


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items() if inner is not None)
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def recipe_of(evidence: Evidence, name: str) -> dict[str, object]:
    """An experiment as plain values, with all that it starts from; "zero-shot" has no legs."""
    if name == ZERO_SHOT:
        return {"strategy": ZERO_SHOT, "legs": {}, "gpu_hours": evidence.study.cost.baseline_gpu_hours}
    if is_external(name):
        if not any(row.id == name for row, _ in evidence.tables.external.rows):
            raise unknown_name("row", name, [row.id for row, _ in evidence.tables.external.rows])
        return {"strategy": "the answers of another system", "legs": {}}
    experiment = evidence.study.experiment(name)
    study = evidence.study
    legs = recipe_legs(study, experiment)
    runs = [run for recipe in evidence.study.recipes if recipe.id == experiment.id for run in recipe.runs]
    return {
        "base": study.base_of(experiment).id,
        "strategy": strategy_of(evidence.study, experiment),
        "starts_from": f"the adapter {given.adapter}" if (given := experiment.given) else experiment.start_from,
        "legs": {str(number): _leg(leg) for number, leg in enumerate(legs, start=1)},
        "adapter": evidence.study.adapter_of(experiment).model_dump(mode="json"),
        "learning_rate": experiment.learning_rate,
        **({"tune": experiment.tune.model_dump(mode="json")} if experiment.tune else {}),
        "rows": experiment.rows,
        "batch": study.batch_of(experiment).model_dump(mode="json"),
        "schedule": study.schedule_of(experiment).model_dump(mode="json"),
        "seeds": ", ".join(str(study.seed_of(run)) for run in runs or [experiment]),
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
    sides = {task: [side_runs(evidence, name, task) for name in (one, other)] for task in tasks}
    refused = {task: why for task in tasks if (why := _refusal(evidence, one, other, task))}
    ready = {task: _pairs(evidence, sides[task], task) for task in tasks if all(sides[task]) and task not in refused}
    scores = {task: found for task in ready if (found := evidence.scores(task)) is not None}
    margins = {task: evidence.study.margin_of(task) for task in ready}
    compared = compare(ready, scores, replace(evidence.rules, declared=None), draws=evidence.draws, margins=margins)
    several = [task for task in compared if max(map(len, sides[task])) > 1]
    seeds = {task: seen for task in several if (seen := with_seeds(evidence, ready[task], compared[task]))}
    compared = join_seeds(compared, seeds, len(compared))
    rows = []
    for task in tasks:
        a, b = (_mean(evidence, runs, task) for runs in sides[task])
        found = compared.get(task)
        runs = (max(1, len(sides[task][0])), max(1, len(sides[task][1])))
        if found is None:
            words = f"refused: {refused[task]}" if task in refused else _why_not(evidence, one, other, task)
        else:
            words = f"{in_runs(_runs_behind(evidence, sides[task]))}{found.statement()}; {found.evidence()}"
        rows.append(TaskDifference(task, evidence.study.tasks[task].headline, a, b, found, words, runs))
    return rows


def _pairs(evidence: Evidence, sides: Sequence[Sequence[str]], task: str) -> list[Pair]:
    ends = [(EndPoint.parse(a), EndPoint.parse(b)) for a, b in product(*sides)]
    return [evidence.settled(Pair(of=a, against=b, task=task)) for a, b in ends]


def _mean(evidence: Evidence, runs: Sequence[str], task: str) -> float | None:
    values = [value.point for run in runs if (value := evidence.value(run, task))]
    return sum(values) / len(values) if values else None


def _runs_behind(evidence: Evidence, sides: Sequence[Sequence[str]]) -> int:
    """The fewest runs of a trained side; 0 where nothing was trained."""
    trained = [len(side) for side in sides if (one := evidence.planned(side[0])) and one.experiment.legs]
    return min(trained, default=0)


def _refusal(evidence: Evidence, one: str, other: str, task: str) -> str | None:
    """Why two recipes of two bases cannot be compared on a task; a base as it is stands for the other side's own."""
    if ZERO_SHOT in (one, other):
        return None
    metric = evidence.study.tasks[task].headline
    pair = Pair(of=EndPoint.parse(one), against=EndPoint.parse(other), task=task)
    return unlike_tokenizers((evidence, one), (evidence, other), metric) or evidence.unlike(pair)


def _why_not(evidence: Evidence, one: str, other: str, task: str) -> str:
    pair = Pair(of=EndPoint.parse(one), against=EndPoint.parse(other), task=task)
    return "skipped" if evidence.pair_state(pair) == "skipped" else "not yet"
