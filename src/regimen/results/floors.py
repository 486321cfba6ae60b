"""A task's score without any language model: the majority class, chance, a trained bag of words.

Owns the reading of these lines from the outcomes of the items stages. Does not know how they were computed.
"""

from __future__ import annotations

from collections.abc import Mapping

from regimen.plan import ItemsSpec, Plan
from regimen.results.facts import Floors, ItemsFacts
from regimen.results.outcomes import Outcome


def floors_of(plan: Plan, outcomes: Mapping[str, Outcome], task: str) -> Floors | None:
    """The lines of a task, or None while its items are not rendered. `outcomes` by stage fingerprint."""
    for name, outcome in outcomes.items():
        stage = plan.stages.get(name)
        if isinstance(stage, ItemsSpec) and stage.task_name == task and not stage.shots:
            return outcome.facts.floors if isinstance(outcome.facts, ItemsFacts) else None
    return None
