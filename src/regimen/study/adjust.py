"""A study with something changed: a starting point after a run that was not promising.

Owns how a change of learning rate, steps or rank is carried through a study, and the text of the adjusted file. What
is to be changed, and on what evidence, is decided elsewhere; a mixture is left to its author and only named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regimen.study.loading import dump_study
from regimen.study.schema import LearningRate, Leg
from regimen.study.study import Study

MAX_RATE = 0.5
MAX_RANK = 1024


def adjusted_study(study: Study, adjustments: Sequence[Mapping[str, Any]]) -> Study:
    """The study with each adjustment carried out: {"field", "change"}, `change` a factor for what can be scaled."""
    for adjustment in adjustments:
        change = adjustment["change"]
        if adjustment["field"] == "schedule.learning_rate":
            study = _scale_rate(study, change)
        elif adjustment["field"] == "steps":
            study = _scale_steps(study, change)
        elif adjustment["field"] == "adapter.rank":
            study = _scale_rank(study, change)
    return study


def adjusted_text(study: Study, adjustments: Sequence[Mapping[str, Any]]) -> str:
    """The adjusted study as a file, each change and its evidence in a comment at its head."""
    head = ["# A starting point, from the evidence of the run in this folder; look at each change before you run it."]
    for adjustment in adjustments:
        head += [f"# - {adjustment['field']}: {adjustment['what']}", f"#   because {adjustment['evidence']}"]
    if not adjustments:
        head.append("# Nothing in the evidence says what to change, so nothing is changed.")
    return "\n".join(head) + "\n" + dump_study(adjusted_study(study, adjustments))


def _scale_rate(study: Study, factor: float) -> Study:
    rates = study.schedule.learning_rate
    scaled = {kind: min(MAX_RATE, getattr(rates, kind) * factor) for kind in ("pretrain", "finetune")}
    schedule = study.schedule.model_copy(update={"learning_rate": LearningRate(**scaled)})
    experiments = tuple(
        e.model_copy(
            update={
                "learning_rate": min(MAX_RATE, e.learning_rate * factor) if e.learning_rate else None,
                "tune": e.tune.scaled(factor, MAX_RATE) if e.tune else None,
            }
        )
        for e in study.experiments
    )
    return study.model_copy(update={"schedule": schedule, "experiments": experiments})


def _scale_steps(study: Study, factor: float) -> Study:
    experiments = tuple(
        e.model_copy(update={"legs": tuple(_longer(leg, factor) for leg in e.legs)}) for e in study.experiments
    )
    return study.model_copy(update={"experiments": experiments})


def _longer(leg: Leg, factor: float) -> Leg:
    return leg.model_copy(update={"steps": max(1, round(leg.steps * factor))})


def _scale_rank(study: Study, factor: float) -> Study:
    adapter = study.adapter
    rank = min(MAX_RANK, max(1, round(adapter.rank * factor)))
    scaled = adapter.model_copy(update={"rank": rank, "alpha": adapter.alpha * rank / adapter.rank})
    return study.model_copy(update={"adapter": scaled})
