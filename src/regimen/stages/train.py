"""The train stage: a cohort of trunks and cooldowns in lockstep, resumable at any step.

Owns where members begin (a parent's end, a chain's, the base), when they are checkpointed, and what each leaves
behind. Checkpoints of a cohort are taken at common steps, so that a resumed cohort is the undisturbed one bit for
bit. Does not know other cohorts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from regimen.data.mixture import Mixture
from regimen.digests import digest_of
from regimen.engine.banks import first_row, load_trained, save_trained
from regimen.engine.base_model import BaseModel
from regimen.engine.checkpoints import (
    checkpoint_path,
    checkpoint_steps,
    drop_checkpoints,
    load_state,
    save_state,
    seat_at,
    trace_digest,
)
from regimen.engine.lockstep import Lockstep, Member, StepRecord
from regimen.engine.states import MemberState
from regimen.errors import Interrupted, RunFolderError
from regimen.files import drop_unfinished, write_json
from regimen.plan import TrainSpec
from regimen.results import PreparedFacts, StageFolder, Stopwatch, TrainedFacts, ValidationPoint, layout
from regimen.stages.context import Context
from regimen.stages.member_run import MemberRun, diverged_before, outcome_of, rate_of
from regimen.stages.messages import Failed, Progress
from regimen.stages.validation import Due, look

KEPT_CHECKPOINTS = 2


def run_train(specs: Sequence[TrainSpec], folders: Sequence[StageFolder], context: Context) -> None:
    """Trains the cohort to the end of every member; raises Interrupted, state saved, when asked to stop."""
    watch = Stopwatch()
    leg = specs[0].leg
    base = context.base(leg.base, leg.adapter, leg.merged)
    paths = [folder.open() for folder in folders]
    for path in paths:
        drop_unfinished(path)
    for spec, path in zip(specs, paths, strict=True):
        _start_anew_on_other_blocks(path, _blocks_of(spec, context))
    specs, folders, paths = _without_ended(specs, folders, paths, context, watch)
    if not specs:
        return
    resumed = _common_step(specs, paths)
    runs = [
        _begin(spec, folder, path, base, context, resumed)
        for spec, folder, path in zip(specs, folders, paths, strict=True)
    ]
    options = context.setup.options
    compiled = base.compiles_by_default if options.compiled is None else options.compiled
    compiled = compiled and leg.adapter.method == "lora"
    members = [run.member for run in runs]
    lockstep = Lockstep(base, leg.adapter, leg.schedule, members, pass_tokens=options.pass_tokens, compiled=compiled)
    cohort = _Cohort(runs, lockstep, base, context, watch)
    for run in runs:
        reach = round(base.reach(leg.adapter), 4)
        notes = {} if base.peft_fault is None else {"export": f"only merged: {base.peft_fault}"}
        context.log(
            run.path, "training", step=run.member.step, of=run.spec.last_step, cohort=len(runs), reach=reach, **notes
        )
    cohort.finish_ended()
    saved = time.monotonic()
    while lockstep.running:
        cohort.note(lockstep.step())
        cohort.look()
        cohort.announce()
        ended = cohort.any_ended()
        stop = context.stopping()
        if ended or stop or time.monotonic() - saved > options.checkpoint_seconds:
            cohort.checkpoint()
            saved = time.monotonic()
        if ended:
            cohort.finish_ended()
        if stop and lockstep.running:
            raise Interrupted("training stopped; its state is saved")


def _without_ended(
    specs: Sequence[TrainSpec],
    folders: Sequence[StageFolder],
    paths: Sequence[Path],
    context: Context,
    watch: Stopwatch,
) -> tuple[list[TrainSpec], list[StageFolder], list[Path]]:
    """The members without the candidates that diverged before they come to this stage; these end here."""
    left: list[tuple[TrainSpec, StageFolder, Path]] = []
    for spec, folder, path in zip(specs, folders, paths, strict=True):
        why = diverged_before(spec, context)
        if why is None:
            left.append((spec, folder, path))
            continue
        rate = rate_of(spec, context)
        facts = TrainedFacts(first_step=spec.first_step, last_step=spec.last_step, diverged=why, learning_rate=rate)
        context.finish(folder, outcome_of(spec, facts, watch, context.machine()))
    return [spec for spec, _, _ in left], [folder for _, folder, _ in left], [path for _, _, path in left]


def _blocks_of(spec: TrainSpec, context: Context) -> dict[str, str]:
    return {name: context.facts(prepared, PreparedFacts).digest for name, prepared in spec.leg.sources.items()}


def _start_anew_on_other_blocks(path: Path, blocks: dict[str, str]) -> None:
    """Checkpoints count only for the blocks that they were trained on."""
    noted = path / layout.READ
    if not noted.is_file() or json.loads(noted.read_text(encoding="utf-8")) != blocks:
        drop_checkpoints(path)
        write_json(noted, blocks)


def _begin(
    spec: TrainSpec, folder: StageFolder, path: Path, base: BaseModel, context: Context, resumed: int | None
) -> MemberRun:
    leg = spec.leg
    stores = {name: context.store(prepared) for name, prepared in leg.sources.items()}
    stream = Mixture(stores, leg.mixture, leg.batch.sequences, leg.seed)
    trace: list[str] = []
    step, seat = spec.first_step, None
    if resumed is not None:
        step = spec.first_step + resumed
        state, seat = load_state(checkpoint_path(path, step)), seat_at(checkpoint_path(path, step))
        trace = _trace_until(path / layout.METRICS, step) or []
    else:
        drop_checkpoints(path)
        state = _initial_state(spec, base, context)
    member = Member(
        name=spec.fingerprint,
        stream=stream,
        step=step,
        last=spec.last_step,
        peak=rate_of(spec, context),
        stable=spec.first_step if spec.part == "cooldown" else None,
        state=state,
        schedule=leg.schedule,
        seed=leg.seed,
        seat=seat,
    )
    run = MemberRun(spec, folder, path, stream, member, trace, blocks=_blocks_of(spec, context))
    for line in trace:
        values = json.loads(line)
        run.losses.append(values["loss"])
        run.tokens += values["tokens"]
        run.loss_tokens += values["loss_tokens"]
        if "validation" in values:
            run.points.append(ValidationPoint.model_validate(values["validation"]))
    return run


def _initial_state(spec: TrainSpec, base: BaseModel, context: Context) -> MemberState:
    leg = spec.leg
    if leg.tuned is not None and spec.goes_on_from_choice:
        return load_state(context.input(leg.tuned.choice) / layout.state_at(leg.tuned.place))
    if spec.parent is not None:
        return load_state(context.input(spec.parent) / layout.STATE)
    if leg.start is not None and not leg.merged:
        return MemberState.fresh(load_trained(context.input(leg.start), base, leg.adapter))
    return MemberState.fresh(first_row(base, leg.adapter, leg.seed))


def _common_step(specs: Sequence[TrainSpec], paths: Sequence[Path]) -> int | None:
    """The most steps into their stages of which all members have a readable checkpoint; None if there are none."""
    common: set[int] | None = None
    for spec, path in zip(specs, paths, strict=True):
        done = {step - spec.first_step for step in checkpoint_steps(path)}
        longest = spec.steps
        common = done if common is None else {step for step in common & done if step <= longest}
    for step in sorted(common or (), reverse=True):
        if all(_is_whole(path, spec.first_step + step) for spec, path in zip(specs, paths, strict=True)):
            return step
    return None


def _is_whole(folder: Path, step: int) -> bool:
    """True if the checkpoint at a step can be read and the trace up to there is the one that it was saved with."""
    path = checkpoint_path(folder, step)
    try:
        load_state(path)
    except RunFolderError:
        return False
    trace = _trace_until(folder / layout.METRICS, step)
    return trace is not None and trace_digest(path) in ("", _digest_of_trace(trace))


def _digest_of_trace(trace: Sequence[str]) -> str:
    return digest_of("\n".join(trace))


def _trace_until(path: Path, step: int) -> list[str] | None:
    """The lines of the steps before `step`; None where the trace is damaged or does not reach so far."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        steps = [json.loads(line)["step"] for line in lines]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    kept = [line for line, at in zip(lines, steps, strict=True) if at < step]
    return kept if steps and steps[0] + len(kept) >= step else None


@dataclass
class _Cohort:
    """The runs of one lockstep, and their saving."""

    runs: list[MemberRun]
    lockstep: Lockstep
    base: BaseModel
    context: Context
    watch: Stopwatch
    announced: float = 0.0

    def announce(self) -> None:
        """Reports progress, at most five times a second."""
        now = time.monotonic()
        if now - self.announced < 0.2:
            return
        self.announced = now
        under_way = [run for run in self.runs if run.losses]
        self.context.report(Progress(tuple(run.progress for run in under_way)))

    def look(self) -> None:
        """Looks on validation rows at the members that are due; the traces are written, so that watchers see it."""
        if not any(run.is_due for run in self.runs):
            return
        self.settle()
        due = [(run, run.spec.leg.validation) for run in self.runs if run.is_due]
        looked_at = [Due(run.spec.leg, how, run.member.step, run.member.state.row) for run, how in due if how]
        for (run, how), point in zip(due, look(looked_at, self.base, self.context), strict=True):
            assert how is not None
            run.add_point(how, point)
            run.write_trace()
            self.context.log(run.path, "validated", **point.model_dump(mode="json"))

    def settle(self) -> None:
        """Brings states and traces to the last step."""
        self.note(self.lockstep.settle())

    def note(self, records: Sequence[StepRecord]) -> None:
        """Adds steps to the traces of their members."""
        for record in records:
            next(run for run in self.runs if run.spec.fingerprint == record.member).note(record)

    def any_ended(self) -> bool:
        """True if a member reached its end, or failed, since the last call of `finish_ended`."""
        return any(run.has_ended for run in self.runs)

    def checkpoint(self) -> None:
        """Saves every member at this step, then forgets older checkpoints.

        Also those at their end: were one committed and the cohort killed before the next, the next would do its last
        steps over in a smaller cohort, and round otherwise.
        """
        self.settle()
        for run in self.runs:
            if not run.member.failure:
                run.write_trace()
                path = checkpoint_path(run.path, run.member.step)
                save_state(path, run.member.state, _digest_of_trace(run.trace), run.member.seat)
        for run in self.runs:
            drop_checkpoints(run.path, keep=KEPT_CHECKPOINTS)

    def finish_ended(self) -> None:
        """Writes and commits the members that are at their end; reports those that failed."""
        for run in [run for run in self.runs if run.has_ended]:
            self.runs.remove(run)
            run.write_trace()
            leg = run.spec.leg
            if run.member.failure and leg.candidate:
                facts = run.facts(round(self.base.reach(leg.adapter), 4))
                self._finish(run, facts.model_copy(update={"diverged": run.member.failure}))
                continue
            if run.member.failure:
                self.context.report(Failed(run.spec.fingerprint, run.member.failure))
                continue
            save_trained(run.path, self.base, leg.base, leg.adapter, run.result)
            if run.spec.part == "trunk":
                save_state(run.path / layout.STATE, run.member.state)
            self._finish(run, run.facts(round(self.base.reach(leg.adapter), 4)))

    def _finish(self, run: MemberRun, facts: TrainedFacts) -> None:
        where = self.context.machine(len(self.lockstep.members))
        self.context.finish(run.folder, outcome_of(run.spec, facts, self.watch, where))
        drop_checkpoints(run.path)
