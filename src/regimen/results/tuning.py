"""The choices of learning rates in a run: every candidate with what it found and cost, and the way to a training's end.

Owns the reading of choices into rows. Reads what is there: a rung that is not decided has no rows. Does not know tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from regimen.plan import Candidate, ChooseSpec, Plan, PlannedExperiment, TrainSpec, Tuned
from regimen.results.facts import ChosenFacts, ComparedFacts
from regimen.results.hours import device_hours
from regimen.results.outcomes import Outcome, facts_of

Outcomes = Mapping[str, Outcome]


@dataclass(frozen=True)
class TuningRow:
    """A candidate of an experiment's choice at the end of a rung, as a row of tuning.csv.

    `steps` is the length of its short training, `steps_trained` what of it this rung trained, `gpu_hours` what that
    took; `value` is what was compared on validation rows (less is better; None: it diverged) and `by` says what it is.
    """

    experiment: str
    rung: int
    learning_rate: float
    steps: int
    place: int
    fate: Literal["chosen", "goes on", "out", "diverged"]
    by: str
    value: float | None
    validation_loss: float | None
    steps_trained: int
    gpu_hours: float


def tuning_rows(plan: Plan, outcomes: Outcomes) -> list[TuningRow]:
    """The candidates of all choices that are made, the best of each rung first; a choice that runs share once."""
    rows: list[TuningRow] = []
    for planned in plan.experiments:
        if planned.tuning is None or planned.experiment.recipe in {row.experiment for row in rows}:
            continue
        rungs = planned.tuning.rungs
        for number, rung in enumerate(rungs, start=1):
            rows += _rung_rows(
                plan, outcomes, planned.experiment.recipe, rung.choice, number, last=number == len(rungs)
            )
    return rows


def _rung_rows(plan: Plan, outcomes: Outcomes, recipe: str, choice: str, number: int, *, last: bool) -> list[TuningRow]:
    spec, facts = plan.stages[choice], facts_of(outcomes, choice, ChosenFacts)
    if facts is None:
        return []
    assert isinstance(spec, ChooseSpec)
    by_rate = {_rate(outcomes, candidate): candidate for candidate in spec.candidates}
    rows = []
    for place, one in enumerate(facts.candidates, start=1):
        stages = _stages(plan, by_rate[one.learning_rate])
        rows.append(
            TuningRow(
                experiment=recipe,
                rung=number,
                learning_rate=one.learning_rate,
                steps=one.steps,
                place=place,
                fate=_fate(one, place <= facts.stay, last=last),
                by=facts.by,
                value=one.value,
                validation_loss=one.loss,
                steps_trained=sum(stage.steps for stage in stages),
                gpu_hours=sum(device_hours(outcomes[s.fingerprint]) for s in stages if s.fingerprint in outcomes),
            )
        )
    return rows


def _fate(one: ComparedFacts, stays: bool, *, last: bool) -> Literal["chosen", "goes on", "out", "diverged"]:
    if one.value is None:
        return "diverged"
    return ("chosen" if last else "goes on") if stays else "out"


def _rate(outcomes: Outcomes, candidate: Candidate) -> float | None:
    """The rate of a candidate; None where the choice that decides it is not made."""
    if candidate.tuned is None:
        return candidate.learning_rate
    before = facts_of(outcomes, candidate.tuned.choice, ChosenFacts)
    return before.candidates[candidate.tuned.place - 1].learning_rate if before else None


def _stages(plan: Plan, candidate: Candidate) -> list[TrainSpec]:
    """The train stages of a candidate in its rung, the pieces of its trunk first."""
    end = plan.stages[candidate.end]
    assert isinstance(end, TrainSpec)
    return [*(_pieces(plan, candidate.trunk) if candidate.trunk else ()), end]


def _pieces(plan: Plan, trunk: str) -> list[TrainSpec]:
    """The pieces of a trunk within its rung, the last of which is given."""
    pieces: list[TrainSpec] = []
    name: str | None = trunk
    while name is not None:
        stage = plan.stages[name]
        if not isinstance(stage, TrainSpec):  # the choice that hands on the state
            break
        pieces.insert(0, stage)
        name = stage.parent
    return pieces


def way_to(plan: Plan, outcomes: Outcomes, planned: PlannedExperiment) -> Sequence[str]:
    """The train stages whose steps led to an experiment's end: its own, and before them those of the candidate that it
    goes on from, as far as the choices are made."""
    first = plan.stages[planned.trainings[0]] if planned.trainings else None
    if not isinstance(first, TrainSpec) or not first.goes_on_from_choice or first.leg.tuned is None:
        return planned.trainings
    return [*_way(plan, outcomes, first.leg.tuned), *planned.trainings]


def _way(plan: Plan, outcomes: Outcomes, tuned: Tuned) -> list[str]:
    spec, facts = plan.stages[tuned.choice], facts_of(outcomes, tuned.choice, ChosenFacts)
    if facts is None:
        return []
    assert isinstance(spec, ChooseSpec)
    rate = facts.candidates[tuned.place - 1].learning_rate
    candidate = next(one for one in spec.candidates if _rate(outcomes, one) == rate)
    pieces = _pieces(plan, candidate.trunk) if candidate.trunk else []
    before = pieces[0].leg.tuned if pieces and pieces[0].goes_on_from_choice else None
    return [*(_way(plan, outcomes, before) if before else ()), *(piece.fingerprint for piece in pieces)]


def chosen_rate(outcomes: Outcomes, planned: PlannedExperiment) -> float | None:
    """The learning rate that was chosen for an experiment; None before that, and where none is chosen."""
    last = planned.tuning.rungs[-1].choice if planned.tuning else None
    facts = facts_of(outcomes, last, ChosenFacts)
    return facts.candidates[0].learning_rate if facts else None
