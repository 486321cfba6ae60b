"""Epochs as steps: counts the blocks of the sources that legs read for so many epochs.

Owns the counting, which prepares these sources as a run would, and the memory of it in the cache: as long as no file
has changed, nothing is counted twice. Does not know training.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from regimen.digests import Digests
from regimen.errors import MachineError
from regimen.files import cache_home, write_json
from regimen.plan import Plan, PrepareSpec, TrainSpec, compile_plan
from regimen.plan.fingerprint import fingerprint
from regimen.stages.inputs import inputs_of
from regimen.study import Experiment, Leg, Study

COUNTS = "blocks.json"


def with_counted_epochs(study: Study, data: Path | None = None, here: Path | None = None) -> Study:
    """The study with the steps of every leg; one whose epochs have been counted already is returned as it is.

    An epoch of a mixture is as many sequences as its sources have blocks together; a part of a step counts as one.
    `data` is a mirror, `here` the folder of the study file. Raises SourceMissing and DataError as a run does.
    """
    if all(leg.steps for experiment in study.experiments for leg in experiment.legs):
        return study
    provisional = study.model_copy(update={"experiments": tuple(map(_with_a_step, study.experiments))})
    plan = compile_plan(provisional, only=[experiment.id for experiment in study.experiments])
    legs = {planned.experiment.id: [_leg_of(plan, end) for end in planned.ends] for planned in plan.experiments}
    asked = {e.id: [bool(not leg.steps) for leg in e.legs] for e in study.experiments}
    wanted = {
        name
        for experiment, ends in legs.items()
        for end, is_asked in zip(ends, asked[experiment], strict=True)
        for name in (end.leg.sources.values() if is_asked else ())
    }
    blocks = _blocks(plan, sorted(wanted), data, here)
    counted = []
    for experiment in study.experiments:
        own = [
            leg if leg.steps else leg.model_copy(update={"steps": _steps(leg, end, blocks)})
            for leg, end in zip(experiment.legs, legs[experiment.id], strict=True)
        ]
        counted.append(experiment.model_copy(update={"legs": tuple(own)}))
    return study.model_copy(update={"experiments": tuple(counted)})


def _with_a_step(experiment: Experiment) -> Experiment:
    legs = tuple(leg if leg.steps else leg.model_copy(update={"steps": 1}) for leg in experiment.legs)
    return experiment.model_copy(update={"legs": legs})


def _leg_of(plan: Plan, end: str) -> TrainSpec:
    stage = plan.stages[end]
    assert isinstance(stage, TrainSpec)
    return stage


def _steps(leg: Leg, end: TrainSpec, blocks: Mapping[str, int]) -> int:
    assert leg.epochs is not None
    together = sum(blocks[name] for name in end.leg.sources.values())
    return max(1, math.ceil(leg.epochs * together / end.leg.batch.sequences - 1e-9))


def _blocks(plan: Plan, prepared: list[str], data: Path | None, here: Path | None) -> dict[str, int]:
    """The blocks of each prepare stage, remembered or counted now."""
    digests = Digests()
    keys = {name: _key(plan, name, data, here, digests) for name in prepared}
    path = cache_home() / COUNTS
    known = _read(path)
    lacking = [name for name in prepared if keys[name] not in known]
    if lacking:
        known |= {keys[name]: count for name, count in _counted(plan, lacking, data, here).items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, known)
    return {name: known[keys[name]] for name in prepared}


def _key(plan: Plan, name: str, data: Path | None, here: Path | None, digests: Digests) -> str:
    """What the blocks of a prepare stage hang on: its literals, its files and those of the test items kept out."""
    stages = [plan.stages[name], *(plan.stages[test] for test in plan.stages[name].inputs)]
    read = [sorted(inputs_of(stage, data, here, digests).items()) for stage in stages]
    return fingerprint([name, read])


def _counted(plan: Plan, prepared: list[str], data: Path | None, here: Path | None) -> dict[str, int]:
    """Prepares these stages in a folder that goes afterwards; their blocks stay in the cache for a run to find."""
    from regimen.results import PreparedFacts, StageFolder, read_outcome
    from regimen.stages.context import Context
    from regimen.stages.kinds import run_job
    from regimen.stages.messages import Job
    from regimen.stages.options import RunOptions, WorkerSetup

    tests = dict.fromkeys(test for name in prepared for test in plan.stages[name].inputs)
    counts = {}
    with TemporaryDirectory() as scratch:
        options = RunOptions(Path(scratch), data=data, here=here, skip_missing=True)
        context = Context(WorkerSetup(options, cache_home()), lambda: False)
        for name in (*tests, *prepared):
            stage = plan.stages[name]
            inputs = {given: plan.stages[given].folder for given in stage.inputs}
            try:
                run_job(Job(name, (stage,), inputs), context)
            except OSError as fault:
                raise MachineError(f"epochs could not be counted: {fault}") from None
            if isinstance(stage, PrepareSpec):
                facts = read_outcome(StageFolder(context.setup.stages, stage).path, name).facts
                assert isinstance(facts, PreparedFacts)
                counts[name] = facts.blocks
    return counts


def _read(path: Path) -> dict[str, int]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(value, dict) and all(isinstance(count, int) and count > 0 for count in value.values())
    return value if whole else {}
