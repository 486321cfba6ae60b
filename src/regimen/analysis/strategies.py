"""The strategy of an experiment, and the cost of its whole recipe.

Owns the names of strategies, read off an experiment's legs and of what it starts from. Does not know scores.
"""

from __future__ import annotations

from functools import lru_cache

from regimen.plan import Plan
from regimen.study import ZERO_SHOT, Experiment, Leg, Study

DIRECT, MULTI_TASK, SEQUENTIAL, COMBINATION = "direct fine-tuning", "multi-task", "sequential", "combination"
PRETRAINING = "pretraining"
GIVEN, FROM_GIVEN = "a given adapter", "from a given adapter"


def recipe_legs(study: Study, experiment: Experiment) -> list[Leg]:
    """All legs of a recipe, those of what it starts from first."""
    before = recipe_legs(study, study.experiment(experiment.start_from)) if experiment.start_from else []
    return [*before, *experiment.legs]


def starts_from_given(study: Study, experiment: Experiment) -> bool:
    """True if a recipe begins with an adapter that the study did not train."""
    before = study.experiment(experiment.start_from) if experiment.start_from else None
    return experiment.given is not None or (before is not None and starts_from_given(study, before))


def recipe_steps(study: Study, experiment: Experiment) -> int:
    """Optimiser steps of the whole recipe, those of what it starts from counted."""
    return sum(leg.steps for leg in recipe_legs(study, experiment))


def recipe_hours(plan: Plan, experiment: Experiment) -> float:
    """GPU-hours of the whole recipe at the plan's rate."""
    if not experiment.legs:
        return plan.study.cost.baseline_gpu_hours
    study = plan.study
    before = recipe_hours(plan, study.experiment(experiment.start_from)) if experiment.start_from else 0.0
    return before + experiment.steps * study.step_size(study.batch_of(experiment)) / plan.steps_per_gpu_hour


def trains_on(study: Study, experiment: Experiment, task: str) -> bool:
    """True if any leg of the recipe reads the training rows of the task's own source."""
    own = set(study.tasks[task].source)
    return any(own & set(leg.mixture) for leg in recipe_legs(study, experiment))


def strategy_of(study: Study, experiment: Experiment) -> str:
    """Zero-shot; pretraining, by the title of the phase whose sources it reads; direct (one source), multi-task
    (several at once), sequential (one after another); combination where kinds of training follow each other. What
    begins with a given adapter is apart from all these, for nobody here knows what that was trained on.
    """
    legs = recipe_legs(study, experiment)
    if starts_from_given(study, experiment):
        return FROM_GIVEN if legs else GIVEN
    if not legs:
        return ZERO_SHOT
    kinds = {_pretraining(study, leg) if leg.kind == "pretrain" else "fine-tuning" for leg in legs}
    if len(kinds) > 1:
        return COMBINATION
    if legs[0].kind == "pretrain":
        return kinds.pop()
    if len(legs) > 1:
        return SEQUENTIAL
    return DIRECT if len(legs[0].mixture) == 1 else MULTI_TASK


def _pretraining(study: Study, leg: Leg) -> str:
    """The title, in lower case, of the pretraining phase that shares most sources with the leg."""
    shared: dict[str, int] = {}
    for phase, sources in _pretraining_phases(_Same(study)).items():
        shared[phase] = len(sources & set(leg.mixture))
    best = max(shared, key=lambda phase: shared[phase], default="")
    return study.phases[best].title.lower() if shared.get(best) and best in study.phases else PRETRAINING


class _Same:
    """A study by identity: it cannot be hashed, and to compare two takes longer than what is kept of one."""

    def __init__(self, study: Study):
        self.study = study

    def __hash__(self) -> int:
        return id(self.study)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.study is self.study


@lru_cache(maxsize=2)  # asked for each pretrained leg
def _pretraining_phases(of: _Same) -> dict[str, set[str]]:
    """Phases whose experiments do nothing but pretrain from the base, with all sources they read."""
    study = of.study
    sources: dict[str, set[str]] = {}
    others: set[str] = set()
    full = {experiment.id for experiment in study.full_track}
    for experiment in study.experiments:
        if not experiment.legs or experiment.id not in full:
            continue
        if (
            experiment.start_from is None
            and experiment.given is None
            and all(leg.kind == "pretrain" for leg in experiment.legs)
        ):
            sources.setdefault(experiment.phase, set()).update(s for leg in experiment.legs for s in leg.mixture)
        else:
            others.add(experiment.phase)
    return {phase: found for phase, found in sources.items() if phase not in others}


def strategies(study: Study) -> dict[str, list[str]]:
    """Strategy -> ids of the full track's experiments, in the study's order, zero-shot first."""
    found: dict[str, list[str]] = {}
    for experiment in study.full_track:
        if experiment.is_given:
            continue
        found.setdefault(strategy_of(study, experiment), []).append(experiment.id)
    return found
