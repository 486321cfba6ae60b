"""Two experiments of a run side by side: what differs in their recipes, and how they differ on each task.

Owns the recipe as plain values and the paired differences, Holm over the tasks that are shown. Does not know terminals
or pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from regimen.analysis.contrasts import compare
from regimen.analysis.declared_contrasts import evidence_words
from regimen.analysis.evidence import Evidence
from regimen.analysis.strategies import recipe_hours, recipe_legs, strategy_of
from regimen.results.outcomes import differences
from regimen.study import ZERO_SHOT, Leg, Pair, unknown_name


def compare_experiments(evidence: Evidence, one: str, other: str, tasks: Sequence[str] = ()) -> dict[str, Any]:
    """{"a", "b", "recipe": [{"field", "a", "b"}], "tasks": [...]}; every difference is of `a` over `b`, up is better.

    `tasks` limits them (default: every task on which both have a score, and the main ones besides). Raises UsageError
    for an experiment or a task that the study does not have.
    """
    study = evidence.study
    for task in tasks:
        if task not in study.tasks:
            raise unknown_name("task", task, study.tasks)
    recipes = [recipe_of(evidence, name) for name in (one, other)]
    fields = [{"field": field, "a": a, "b": b} for field, a, b in differences(recipes[0], recipes[1])]
    shown = [task for task in tasks or study.tasks if tasks or _relevant(evidence, one, other, task)]
    return {"a": one, "b": other, "recipe": fields, "tasks": _rows(evidence, one, other, shown)}


def recipe_of(evidence: Evidence, name: str) -> dict[str, Any]:
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
    total = sum(leg.mixture.values())
    shares = " ".join(f"{source}:{100 * weight / total:g}" for source, weight in leg.mixture.items())
    return f"{leg.kind} {shares}, {leg.steps:,} steps"


def _relevant(evidence: Evidence, one: str, other: str, task: str) -> bool:
    there = evidence.state(one, task) == evidence.state(other, task) == "there"
    return there or evidence.study.tasks[task].panel == "main"


def _rows(evidence: Evidence, one: str, other: str, tasks: Sequence[str]) -> list[dict[str, Any]]:
    pairs = {task: Pair(of=one, against=other, task=task) for task in tasks}
    ready = {task: [evidence.settled(pair)] for task, pair in pairs.items() if evidence.pair_state(pair) == "there"}
    scores = {task: found for task in ready if (found := evidence.scores(task)) is not None}
    compared = compare(ready, scores, replace(evidence.rules, declared=None), draws=evidence.draws)
    rows = []
    for task in tasks:
        values = [evidence.value(end, task) for end in (one, other)]
        row = {"task": task, "metric": evidence.study.tasks[task].headline,
               "a": values[0].point if values[0] else None, "b": values[1].point if values[1] else None}  # fmt: skip
        found = compared.get(task)
        if found is None:
            state = evidence.pair_state(pairs[task])
            rows.append(row | {"status": state, "statement": "skipped" if state == "skipped" else "not yet"})
            continue
        rows.append(row | {
            "status": "tested", "direction": found.direction(), "estimate": found.estimate, "low": found.low,
            "high": found.high, "n": {"items": found.items, "clusters": found.clusters}, "p": found.p,
            "p_adjusted": found.p_adjusted, "test": found.test, "mde": found.mde,
            "statement": f"{found.statement()}; {evidence_words(found)}",
        })  # fmt: skip
    return rows
