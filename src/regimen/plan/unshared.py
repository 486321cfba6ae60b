"""What a schedule costs whose trainings of several lengths share no steps.

Owns that count. Does not know how plans are compiled.
"""

from __future__ import annotations

from dataclasses import replace

from regimen.plan.compiler import compile_with
from regimen.plan.plan import Plan


def steps_unshared(plan: Plan) -> int:
    """The steps to run that the usual schedule would share between lengths, where others are used; else 0."""
    study = plan.study
    schedules = [study.schedule, *(experiment.schedule for experiment in study.experiments)]
    if all(schedule is None or schedule.has_trunk for schedule in schedules) or not plan.options.sharing:
        return 0
    usual = {"type": "warmup_stable_decay"}
    experiments = tuple(
        one if one.schedule is None else one.model_copy(update={"schedule": one.schedule.model_copy(update=usual)})
        for one in study.experiments
    )
    shared = study.model_copy(update={"schedule": study.schedule.model_copy(update=usual), "experiments": experiments})
    kept = replace(plan.options, only=tuple(planned.experiment.id for planned in plan.experiments))
    return plan.steps_to_run - compile_with(shared, kept).steps_to_run
