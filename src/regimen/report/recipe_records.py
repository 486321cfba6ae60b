"""Each experiment's recipe, as the page's panel shows it: what it trains, on which rows, for how long, after what.

Owns the content of a panel beside the scores. Does not know the page around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.plan import TrainSpec
from regimen.report.facts import seconds_of
from regimen.report.run_reading import Reading
from regimen.report.words import adapter_words, number
from regimen.results import PreparedFacts, TrainedFacts, facts_of
from regimen.results.rows import token_shares


@dataclass(frozen=True)
class LegRecord:
    """A leg's source: its shares, how often its rows were seen, and the leg's last loss; None where not known."""

    leg: int
    kind: str
    steps: int
    source: str
    share: float
    tokens: float | None
    loss_tokens: float | None
    epochs: float | None
    loss: float | None


@dataclass(frozen=True)
class RecipeRecord:
    """An experiment: facts as (what, value), its legs, the experiments before and after it, its training stages."""

    state: str
    facts: Sequence[tuple[str, str]]
    legs: Sequence[LegRecord]
    links: Sequence[tuple[str, str]]
    stages: Sequence[tuple[str, str]]


def recipe_records(reading: Reading) -> dict[str, RecipeRecord]:
    """Experiment -> its recipe, for those that train."""
    return {planned.experiment.id: _record(reading, planned.experiment.id) for planned in reading.trained}


def _record(reading: Reading, name: str) -> RecipeRecord:
    planned = reading.planned[name]
    done = sum(stage in reading.tables.outcomes for stage in planned.stages)
    return RecipeRecord(
        state="done" if done == len(planned.stages) else f"{done} of {len(planned.stages)} stages done",
        facts=_facts(reading, name),
        legs=_legs(reading, name),
        links=_relatives(reading, name),
        stages=_stages(reading, planned.all_trainings),
    )


def _facts(reading: Reading, name: str) -> list[tuple[str, str]]:
    planned = reading.planned[name]
    experiment, study = planned.experiment, reading.plan.study
    adapter = study.adapter_of(experiment)
    outcomes = [reading.tables.outcomes[stage] for stage in planned.all_trainings if stage in reading.tables.outcomes]
    spent = sum(seconds_of(outcome) for outcome in outcomes)
    return [
        ("trains", adapter_words(adapter)),
        ("seed", str(study.seed_of(experiment))),
        ("steps", f"{planned.steps:,}"),
        ("GPU-hours planned", number(planned.gpu_hours, 2)),
        ("trained here", f"{spent:,.1f} s, shared trunks counted in full" if outcomes else "not yet"),
        ("in the fast track", "yes" if planned.fast_track else "no"),
    ]


def _legs(reading: Reading, name: str) -> list[LegRecord]:
    """A record a leg and source."""
    planned = reading.planned[name]
    rows = []
    for index, leg in enumerate(planned.experiment.legs):
        trained = facts_of(reading.tables.outcomes, planned.ends[index], TrainedFacts)
        counted = token_shares(leg.mixture, _blocks(reading, planned.ends[index]))
        for source, share in leg.shares.items():
            rows.append(
                LegRecord(
                    leg=index + 1,
                    kind=leg.kind,
                    steps=leg.steps,
                    source=source,
                    share=share,
                    tokens=counted[source].tokens if counted else None,
                    loss_tokens=counted[source].loss_tokens if counted else None,
                    epochs=trained.epochs.get(source) if trained else None,
                    loss=trained.last_loss if trained else None,
                )
            )
    return rows


def _blocks(reading: Reading, end: str) -> dict[str, PreparedFacts]:
    """What is known of the prepared blocks of each source that a leg draws from."""
    stage = reading.plan.stages[end]
    assert isinstance(stage, TrainSpec)
    known = {name: facts_of(reading.tables.outcomes, key, PreparedFacts) for name, key in stage.leg.sources.items()}
    return {name: facts for name, facts in known.items() if facts is not None}


def _stages(reading: Reading, trainings: Sequence[str]) -> list[tuple[str, str]]:
    """(folder, what it did)."""
    rows = []
    for name in trainings:
        stage, outcome = reading.plan.stages[name], reading.tables.outcomes.get(name)
        if isinstance(stage, TrainSpec):
            state = f"{seconds_of(outcome):.1f} s" if outcome else "not yet"
            rows.append((stage.folder, f"{stage.part}, steps {stage.first_step:,} to {stage.last_step:,}, {state}"))
    return rows


def _relatives(reading: Reading, name: str) -> list[tuple[str, str]]:
    """(what, experiment): what it continues and what continues it."""
    start = reading.planned[name].experiment.start_from
    after = [planned.experiment.id for planned in reading.trained if planned.experiment.start_from == name]
    return [*([("continues", start)] if start else []), *(("continued by", one) for one in after)]
