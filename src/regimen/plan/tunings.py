"""The trainings by which learning rates are chosen: rungs of candidates, each rung with the choice that ends it.

Owns how a choice becomes legs and stages: the first rung trains every candidate, a later one goes on with those that
stay, from the states that the choice before it hands on; a schedule without a trunk begins anew each time. Does not
know experiments or rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.plan.choices import Candidate, ChooseSpec, Tuned
from regimen.plan.pieces import CompiledLeg, Pieces
from regimen.plan.stages import LegSpec
from regimen.study.schema import stable_steps
from regimen.study.tuning import Rung, Tune


@dataclass(frozen=True)
class CompiledRung:
    """The candidates of a rung, by the names of their stages, and the choice among them."""

    legs: dict[str, CompiledLeg]
    choice: ChooseSpec


@dataclass(frozen=True)
class Tuning:
    """The rungs of one choice; `first` is the step of the state that it hands on, 0 where it hands on none."""

    rates: tuple[float, ...]
    rungs: tuple[CompiledRung, ...]
    seed: int
    first: int

    @property
    def best(self) -> Tuned:
        """What the training in full takes from it."""
        return Tuned(choice=self.rungs[-1].choice.fingerprint, place=1)

    def goes_on(self, seed: int) -> bool:
        """Whether a training with this seed goes on from the best candidate; others only take its rate."""
        return self.first > 0 and seed == self.seed


@dataclass(frozen=True)
class PlannedRung:
    """A rung of the plan: how many candidates train up to `steps`, how many stay, the steps that this takes together.

    `stages` are its train stages, `choice` the one that compares.
    """

    candidates: int
    steps: int
    stay: int
    steps_trained: int
    stages: tuple[str, ...]
    choice: str


@dataclass(frozen=True)
class PlannedTuning:
    """The choice of an experiment's learning rate in the plan; `gpu_hours` by the plan's rate, nothing shared."""

    rates: tuple[float, ...]
    budget: str
    rungs: tuple[PlannedRung, ...]
    gpu_hours: float

    @property
    def stages(self) -> tuple[str, ...]:
        """All its stages, in order."""
        return tuple(name for rung in self.rungs for name in (*rung.stages, rung.choice))

    @property
    def steps(self) -> int:
        """Optimiser steps of all candidates."""
        return sum(rung.steps_trained for rung in self.rungs)

    def to_json(self) -> dict[str, object]:
        """As `plan --json` has it."""
        rungs = [{"candidates": one.candidates, "steps": one.steps, "stay": one.stay} for one in self.rungs]
        return {
            "learning_rates": list(self.rates),
            "budget": self.budget,
            "rungs": rungs,
            "steps": self.steps,
            "gpu_hours": round(self.gpu_hours, 6),
        }


def tuning_of(name: str, tune: Tune, template: LegSpec, steps: int, pieces: Pieces) -> Tuning:
    """The rungs of a training of so many steps, made known to `pieces`; `template` is its leg, with validation rows.

    Raises TuneFault where it is too short for a choice.
    """
    schedule = template.schedule
    rungs: list[CompiledRung] = []
    first = 0
    for number, rung in enumerate(schedule.rungs_of(tune, steps), start=1):
        before = rungs[-1].choice.fingerprint if rungs else None
        stable = stable_steps(rung.steps, schedule.cooldown) if schedule.has_trunk else 0
        legs = {
            f"{name}-tune-{called}": CompiledLeg(spec, stable, rung.steps, first, before if first else None)
            for called, spec in _candidates(template, tune.rates, number, rung, before).items()
        }
        for leg in legs.values():
            pieces.add(leg)
        rungs.append(CompiledRung(legs, _choice(f"{name}-rung-{number}", list(legs.values()), rung.stay)))
        first = stable
    return Tuning(tune.rates, tuple(rungs), template.seed, first)


def _candidates(
    template: LegSpec, rates: Sequence[float], number: int, rung: Rung, before: str | None
) -> dict[str, LegSpec]:
    """The legs of a rung by short names: of the first by their rates, of a later one by their places."""
    fields = {**dict(template), "candidate": True}
    if before is None:
        return {f"lr{rate:.3g}": LegSpec.model_validate({**fields, "learning_rate": rate}) for rate in rates}
    places = {place: Tuned(choice=before, place=place) for place in range(1, rung.candidates + 1)}
    fields["learning_rate"] = None
    return {
        f"rung-{number}-place-{place}": LegSpec.model_validate({**fields, "tuned": tuned})
        for place, tuned in places.items()
    }


def _choice(label: str, legs: Sequence[CompiledLeg], stay: int) -> ChooseSpec:
    candidates = tuple(
        Candidate(end=leg.end, trunk=leg.trunk_end, learning_rate=leg.spec.learning_rate, tuned=leg.spec.tuned)
        for leg in legs
    )
    validation = legs[0].spec.validation
    assert validation is not None
    return ChooseSpec(label=label, candidates=candidates, stay=stay, validation=validation)


def planned_rungs(tuning: Tuning, pieces: Pieces) -> tuple[PlannedRung, ...]:
    """The rungs as part of the plan: their stages are cut, and kept where the experiment is."""
    rungs: list[PlannedRung] = []
    for rung in tuning.rungs:
        stages = [spec for name, leg in rung.legs.items() for spec in pieces.of(name, leg)]
        pieces.keep_choice(rung.choice)
        one = next(iter(rung.legs.values()))
        trained = len(rung.legs) * (one.horizon - one.first)
        names = tuple(dict.fromkeys(spec.fingerprint for spec in stages))
        stay, choice = rung.choice.stay, rung.choice.fingerprint
        rungs.append(PlannedRung(len(rung.legs), one.horizon, stay, trained, names, choice))
    return tuple(rungs)
