"""The choose stage: ranks candidates by the validation rows at their ends, hands on the rates and states of those that
stay.

Owns the order of candidates. Reads the outcomes of trainings, and nothing else. Does not know tests or evaluations.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from regimen.errors import TrainingError
from regimen.files import drop_unfinished, write_atomically, write_json
from regimen.plan import Candidate, ChooseSpec
from regimen.results import ChosenFacts, ComparedFacts, Outcome, StageFolder, Stopwatch, TrainedFacts, layout
from regimen.stages.context import Context
from regimen.stages.validation import criterion


def run_choose(specs: Sequence[ChooseSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Ranks the candidates of each choice; raises TrainingError where all of them diverged."""
    for spec, folder in zip(specs, folders, strict=True):
        _choose(spec, folder, context)


def _choose(spec: ChooseSpec, folder: StageFolder, context: Context) -> None:
    watch = Stopwatch()
    path = folder.open()
    drop_unfinished(path)
    compared = [_compared(spec, candidate, context) for candidate in spec.candidates]
    order = sorted(range(len(compared)), key=lambda index: _rank(compared[index]))
    first = compared[order[0]]
    if first.value is None:
        raise TrainingError(
            f"{spec.label}: all {len(compared)} candidates of `tune` diverged ({first.diverged or 'no finite value'}); "
            "give lower rates"
        )
    has_states = [_hand_on(spec.candidates[index], place, path, context) for place, index in _staying(spec, order)]
    ranked = tuple(compared[index] for index in order)
    stay = [one.learning_rate for one in ranked[: spec.stay]]
    write_json(path / layout.CHOICE, {"learning_rates": stay})  # all that later stages take from it, beside the states
    at = _state_step(spec, context) if has_states[0] else 0
    facts = ChosenFacts(candidates=ranked, stay=spec.stay, by=spec.validation.settings.by, first=at)
    context.log(path, "chosen", learning_rates=stay)
    context.finish(
        folder,
        Outcome(
            fingerprint=spec.fingerprint,
            kind="choose",
            label=spec.label,
            status="done",
            started=watch.started,
            ended=watch.ended,
            facts=facts,
            where=context.machine(),
        ),
    )


def _staying(spec: ChooseSpec, order: Sequence[int]) -> list[tuple[int, int]]:
    """(Place from 1, candidate's index) of those that stay."""
    return list(enumerate(order[: spec.stay], start=1))


def _rank(one: ComparedFacts) -> tuple[bool, float, float]:
    """Those with a value first, the least before; of equal ones the smaller rate."""
    return one.value is None, one.value or 0.0, one.learning_rate


def _compared(spec: ChooseSpec, candidate: Candidate, context: Context) -> ComparedFacts:
    end = context.facts(candidate.end, TrainedFacts)
    rate = context.chosen(candidate.tuned).learning_rate if candidate.tuned else candidate.learning_rate
    assert rate is not None
    if end.diverged is not None or not end.validation:
        return ComparedFacts(learning_rate=rate, steps=end.last_step, value=None, diverged=end.diverged)
    point = end.validation[-1]
    value = end.kept.value if end.kept is not None else criterion(spec.validation, point)
    return ComparedFacts(
        learning_rate=rate,
        steps=end.last_step,
        value=value if value is not None and math.isfinite(value) else None,
        loss=point.loss,
        scores=point.scores,
    )


def _hand_on(candidate: Candidate, place: int, path: Path, context: Context) -> bool:
    """Copies the state of a candidate that stays; false where there is none, since it begins anew or diverged."""
    if candidate.trunk is None:
        return False
    state = context.input(candidate.trunk) / layout.STATE
    if not state.is_file():
        return False
    write_atomically(path / layout.state_at(place), lambda scratch: shutil.copyfile(state, scratch))
    return True


def _state_step(spec: ChooseSpec, context: Context) -> int:
    trunk = spec.candidates[0].trunk
    return context.facts(trunk, TrainedFacts).last_step if trunk else 0
