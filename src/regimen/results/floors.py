"""What a task's score is without any language model: the majority class, chance, a trained bag of words.

Owns the reading of these lines from the outcomes of the items stages. Does not know how they were computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regimen.plan import ItemsSpec, Plan
from regimen.results.outcomes import Outcome

Metrics = dict[str, float]


@dataclass(frozen=True)
class Floors:
    """Metrics of always saying the most frequent class, of guessing, and of TF-IDF with logistic regression.

    Each is empty where it does not apply (open answers have no majority) or could not be had (`note` says why).
    """

    majority: Metrics
    chance: Metrics
    tfidf: Metrics
    tfidf_rows: int = 0
    note: str = ""

    def floor(self, metric: str) -> float:
        """The score that takes no skill: the better of majority and chance, 0 where neither is defined."""
        return max(self.majority.get(metric, 0.0), self.chance.get(metric, 0.0))


def floors_of(plan: Plan, outcomes: Mapping[str, Outcome], task: str) -> Floors | None:
    """The lines of a task, or None while its items are not rendered. `outcomes` by stage fingerprint."""
    for name, outcome in outcomes.items():
        stage = plan.stages.get(name)
        if isinstance(stage, ItemsSpec) and stage.task_name == task and not stage.shots:
            facts = outcome.facts.get("floors")
            return Floors(**facts) if facts else None
    return None
