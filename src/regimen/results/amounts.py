"""What a recipe was trained on, in amounts: different rows, passes over them, tokens.

Owns the sums over a recipe's legs, those of what it starts from counted. Does not know scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regimen.plan import Plan, PlannedExperiment, TrainSpec
from regimen.results.facts import F, PreparedFacts, TrainedFacts
from regimen.results.outcomes import Outcome
from regimen.results.tuning import way_to


@dataclass(frozen=True)
class Amounts:
    """`unique_rows` are the different rows that could be drawn, `epochs` the draws over these, `tokens` those read."""

    unique_rows: int
    epochs: float
    tokens: int


def amounts_of(
    plan: Plan, outcomes: Mapping[str, Outcome], by_id: Mapping[str, PlannedExperiment], name: str
) -> Amounts | None:
    """The amounts of an experiment's whole recipe; None for a baseline and where a stage's amounts are not recorded.

    `by_id` holds the planned experiments. Of a source that is read in several sizes or forms the largest counts once.
    """
    rows: dict[str, int] = {}
    drawn = 0.0
    tokens = 0
    part: PlannedExperiment | None = by_id[name]
    while part is not None:
        for training in way_to(plan, outcomes, part):
            facts = _facts(outcomes, training, TrainedFacts)
            if facts is None:
                return None
            tokens += facts.tokens
        for end in part.ends:
            stage, facts = plan.stages[end], _facts(outcomes, end, TrainedFacts)
            if not isinstance(stage, TrainSpec) or facts is None:
                return None
            for source, prepared in stage.leg.sources.items():
                found = _facts(outcomes, prepared, PreparedFacts)
                if found is None or source not in facts.epochs:
                    return None
                rows[source] = max(rows.get(source, 0), found.documents)
                drawn += facts.epochs[source] * found.documents
        start = part.experiment.start_from
        if start is not None and start not in by_id:
            return None
        part = by_id[start] if start is not None else None
    unique = sum(rows.values())
    return Amounts(unique, drawn / unique, tokens) if unique else None


def _facts(outcomes: Mapping[str, Outcome], stage: str, kind: type[F]) -> F | None:
    outcome = outcomes.get(stage)
    return outcome.facts if outcome is not None and isinstance(outcome.facts, kind) else None
