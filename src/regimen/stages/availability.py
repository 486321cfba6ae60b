"""Checks that everything a plan needs from outside is there: sources, the base model, lm-evaluation-harness.

Owns the check before anything trains. Reads no more than the first rows, loads no torch. Does not know scheduling.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from regimen.data.rows import first_fault
from regimen.data.sources import Where, parts_of
from regimen.data.standins import stand_in
from regimen.engine.locate import is_present, present_folder
from regimen.engine.prospect import prospect, too_long
from regimen.errors import DataError, ModelError, SourceMissing, UsageError
from regimen.evaluation.harness import why_no_harness
from regimen.evaluation.own_metrics import own_readers
from regimen.plan import ItemsSpec, Plan, PrepareSpec, Stage
from regimen.study import Study
from regimen.study.sources import Source


def missing_inputs(plan: Plan, data: Path | None, here: Path | None) -> dict[str, list[str]]:
    """Maps each missing thing to the stages that need it. A Hub source is looked for only when it is read."""
    where = Where(plan.study.data, data, here)
    missing: dict[str, list[str]] = {}
    for stage in plan.stages.values():
        for name, source, split in _needs(stage):
            try:
                parts_of(name, source, split, where)
            except SourceMissing as fault:
                missing.setdefault(str(fault), []).append(stage.fingerprint)
        if isinstance(stage, ItemsSpec) and stage.task.lm_eval and (reason := why_no_harness(stage.task.lm_eval)):
            missing.setdefault(reason, []).append(stage.fingerprint)
    return missing


def check_code(plan: Plan, trusted: bool) -> None:
    """Runs the files of the study's own metrics once, so that a fault of theirs is seen before anything trains.

    Raises UsageError, nothing run, where they are not trusted, and for a file that cannot be run.
    """
    for name, task in plan.study.tasks.items():
        try:
            own_readers(task, trusted)
        except DataError as fault:
            raise UsageError(f"the task {name!r}: {fault}") from None


def only_avoided(plan: Plan, stages: Iterable[str]) -> bool:
    """True if all these stages hold test items that nothing scores: they are only kept out of training rows."""
    specs = (plan.stages[name] for name in stages)
    return all(isinstance(stage, ItemsSpec) and stage.purpose == "avoid" for stage in specs)


def missing_base(plan: Plan, data: Path | None) -> str | None:
    """Why a base cannot be had, or None; a Hub base may still be fetched unless `data` forbids the network."""
    needed = [base for base in plan.study.bases if base.origin != "hub" or data is not None]
    return next((why for base in needed if (why := is_present(base, data)) is not None), None)


def check_base(plan: Plan, data: Path | None) -> None:
    """Raises ModelError where the base that is here cannot train on the blocks that a study asks for.

    A base that has yet to be fetched is checked when its first rows are prepared.
    """
    trained = {name for stage in plan.trainings() for name in stage.leg.sources.values()}
    for name in trained:
        stage = plan.stages[name]
        if isinstance(stage, PrepareSpec) and (folder := present_folder(stage.base, data)) is not None:
            check_blocks(stage, folder)


def check_blocks(stage: PrepareSpec, folder: Path) -> None:
    """Raises ModelError where the base in `folder` cannot train on the blocks of this stage."""
    if stage.base.origin == "packaged":  # ours, and right in all it is used for
        context = json.loads((folder / "config.json").read_text(encoding="utf-8"))["max_position_embeddings"]
        fault = too_long(stage.batch.block, context)
    else:
        shares_rows = stage.form == "pretrain" or stage.batch.packing
        fault = prospect(folder).why_not(stage.batch.block, shares_rows=shares_rows)
    if fault is not None:
        raise ModelError(fault)


def missing_harness(study: Study) -> list[str]:
    """The needs of lm-evaluation-harness tasks that this machine does not meet, one sentence each."""
    names = [task.lm_eval for task in study.tasks.values() if task.lm_eval]
    return [reason for name in names if (reason := why_no_harness(name)) is not None]


def _needs(stage: Stage) -> Iterable[tuple[str, Source, str]]:
    if isinstance(stage, PrepareSpec) and (split := stage.source.split_of(stage.side)):
        yield stage.source_name, stage.source, split
    elif isinstance(stage, ItemsSpec):
        for name in stage.task.source:
            source = stage.sources[name]
            if split := source.split_of(stage.side):
                yield name, source, split


@dataclass(frozen=True)
class SourceState:
    """The state of a source: "present", "made by regimen", "on the Hub" (not looked at); or, with a reason,
    "missing", "unreadable".

    `bytes` is the size of its files; `stand_in` says which of its rows are not the source's own.
    """

    state: str = "present"
    why: str | None = None
    bytes: int = 0
    stand_in: str | None = None


def source_states(study: Study, where: Where) -> dict[str, SourceState]:
    """The state of each source."""
    return {name: _state_of(name, source, where) for name, source in study.sources.items()}


def _state_of(name: str, source: Source, where: Where) -> SourceState:
    state = SourceState()
    notes = []
    for split in source.splits:
        try:
            parts = parts_of(name, source, split, where)
        except SourceMissing as fault:
            state = replace(state, state="missing", why=str(fault))
            continue
        size = sum(path.stat().st_size for part in parts for path in part.paths)
        state = replace(state, bytes=state.bytes + size)
        if any(part.table for part in parts) and state.state == "present":
            state = replace(state, state="made by regimen")
        elif any(part.hub for part in parts):
            state = replace(state, state="on the Hub", why=f"{source.hub}, {source.size or 'size not known'}")
        if not any(part.hub for part in parts) and (fault := first_fault(source, parts)) and state.state != "missing":
            state = replace(state, state="unreadable", why=fault)
        if note := stand_in(source, split, where):
            notes.append(f"{split}: {note}")
    return replace(state, stand_in="; ".join(notes) or None)
