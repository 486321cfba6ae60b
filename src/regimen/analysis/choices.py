"""Choices among recipes: by scores on validation rows where a run has them, else by test items, which is said.

Owns the scores on validation rows and which tasks have them. A choice by validation rows reads no test item, so that
what was chosen is judged on items that did not choose it. Does not know what is chosen for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal

from regimen.analysis.evidence import Evidence
from regimen.analysis.replicates import runs_of
from regimen.plan import TrainSpec
from regimen.results.facts import TrainedFacts, ValidationPoint
from regimen.study import EndPoint
from regimen.study.metrics import better_sign

ChosenOn = Literal["validation rows", "test items"]
NOT_LOOKED_AT = "no recipe within it was scored on the validation rows, which choose here"


def chosen_words(on: ChosenOn) -> str:
    """The words that a recommendation carries on how it was chosen."""
    return "chosen on validation rows" if on == "validation rows" else "chosen on the test items that it is judged on"


class Choices:
    """The scores of a run's recipes on validation rows, and the choices that they make.

    Only a training on a task's own sources is looked at on the task's validation rows, so other recipes have no score
    there and are not chosen where such rows decide.
    """

    def __init__(self, evidence: Evidence):
        self._evidence = evidence

    @cached_property
    def _scores(self) -> Mapping[str, Mapping[str, float]]:
        """Experiment -> task -> headline score on validation rows, turned so that up is better."""
        study = self._evidence.study
        found: dict[str, dict[str, float]] = {}
        for planned in self._evidence.whole.experiments:
            scores = _scores_of(self._evidence, planned.ends[-1]) if planned.ends else {}
            known = {
                task: better_sign(study.tasks[task].headline) * score
                for task, score in scores.items()
                if task in study.tasks
            }
            found[planned.experiment.id] = known
        return found

    @property
    def any(self) -> bool:
        """True if any training was scored on validation rows."""
        return any(self._scores.values())

    def decides(self, task: str) -> bool:
        """True if some training was scored on the task's validation rows."""
        return any(task in scores for scores in self._scores.values())

    def score(self, recipe: str, task: str) -> float | None:
        """The mean over the recipe's runs, up is better; None where a run has none."""
        runs = [end.experiment for end in runs_of(self._evidence, EndPoint(recipe), task)]
        scores = [self._scores.get(run, {}).get(task) for run in runs]
        known = [score for score in scores if score is not None]
        return sum(known) / len(known) if known and len(known) == len(scores) else None

    def mean_score(self, chosen: Mapping[str, str]) -> float | None:
        """The mean over tasks (task -> recipe), as `keep: best` takes it by the headline; None where one is missing."""
        scores = [self.score(recipe, task) for task, recipe in chosen.items()]
        known = [score for score in scores if score is not None]
        return sum(known) / len(known) if known and len(known) == len(scores) else None

    def best(
        self, tasks: Sequence[str], recipes: Iterable[str], on_test: Callable[[str], float]
    ) -> tuple[str | None, ChosenOn]:
        """The best of some recipes over tasks, and what it was chosen by.

        By validation rows if they decide every one of the tasks, None where none of the recipes has a score there; else
        by `on_test` (more is better). The first of equal ones.
        """
        if not tasks or not all(map(self.decides, tasks)):
            return max(recipes, key=on_test, default=None), "test items"
        scores = {recipe: score for recipe in recipes
                  if (score := self.mean_score(dict.fromkeys(tasks, recipe))) is not None}  # fmt: skip
        return max(scores, key=lambda recipe: scores[recipe], default=None), "validation rows"


def _scores_of(evidence: Evidence, end: str) -> dict[str, float]:
    """Task -> headline score of the weights that a training ended with: the kept step's, else the last step's."""
    stage, outcome = evidence.whole.stages[end], evidence.outcomes.get(end)
    if not isinstance(stage, TrainSpec) or outcome is None or not isinstance(outcome.facts, TrainedFacts):
        return {}
    kept = outcome.facts.kept
    step = kept.step if kept else stage.last_step
    for point in _points(evidence, end):
        if point.step == step:
            return {task: score for task, score in point.scores.items() if score is not None}
    return {}


def _points(evidence: Evidence, end: str) -> Iterable[ValidationPoint]:
    """The points of a leg, the last stretch's first."""
    name: str | None = end
    while name is not None:
        stage, outcome = evidence.whole.stages[name], evidence.outcomes.get(name)
        if not isinstance(stage, TrainSpec) or outcome is None or not isinstance(outcome.facts, TrainedFacts):
            return
        yield from outcome.facts.validation
        name = stage.parent
