"""One run of a plan in a run folder, from the first check to the last marker.

Owns the order: check, lock, survey, schedule, write each experiment's state and scores. Handles signals. Does not
know the work of stages, and prints nothing.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regimen.errors import ModelError, SourceMissing
from regimen.execution.devices import check_meant
from regimen.execution.events import Note, Observer, RunEvent, StageChanged
from regimen.execution.pools import cache_of, check_cache, check_options, make_pool
from regimen.execution.scheduler import Scheduler
from regimen.execution.survey import changed_inputs, refuse_changed, set_changed_aside, survey
from regimen.execution.tracking import check_trackers, tracked
from regimen.files import drop_unfinished, write_json
from regimen.plan import Plan, PlannedExperiment
from regimen.results import EvaluatedFacts, ItemsFacts, Ledger, PreparedFacts, RunFolder, layout
from regimen.results.losses import warnings_of
from regimen.results.run_folder import Results
from regimen.stages.availability import check_base, check_code, missing_base, missing_inputs, only_avoided
from regimen.stages.given_checks import check_given_adapters
from regimen.stages.options import RunOptions
from regimen.stages.renewal import must_look_first, preparations, take_back


@dataclass(frozen=True)
class Failure:
    """A stage (its label) that failed, the first experiments that need it, and the log of it."""

    stage: str
    experiment: str
    error: str
    log: Path


@dataclass(frozen=True)
class RunSummary:
    """The end of a run: experiments and stages by state, seconds, stages done in this run (`worked`), failures.

    `skipped` maps the reason why a source is missing to the experiments that did not run for it.
    """

    out: Path
    experiments: dict[str, int]
    stages: dict[str, int]
    seconds: float
    interrupted: bool
    worked: int
    failures: list[Failure] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 done, 1 some experiments failed, 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.experiments.get("failed") else 0


def run_plan(plan: Plan, options: RunOptions, observe: Observer, recorded: Mapping[str, object]) -> RunSummary:
    """Runs the missing stages; `recorded` goes into the folder's run.json.

    Raises UsageError for options that cannot be followed, SourceMissing or ModelError where a source or the base is
    missing (in all three cases before anything is written), RunFolderError for a folder that is not this study's or is
    in use, MachineError where no worker can run or the disk is full.
    """
    started = time.monotonic()
    check_options(options)
    check_trackers(options.trackers)
    check_code(plan, options.trust_code)
    folder = RunFolder(options.out)
    done = folder.read(plan).outcomes
    todo = len(done) < len(plan.stages)
    if todo:
        check_meant(plan, options)
        check_given_adapters(plan, options.here, options.data, done)
        check_cache(options)
    changed = changed_inputs(plan, folder, options, done)
    if not options.accept_changed:
        refuse_changed(options.out, changed)
    refused, skipped = _check_inputs(plan, options) if todo or changed else ({}, {})
    with folder.locked():
        folder.create(plan.study, plan, dict(recorded))
        for path in (folder.path, folder.path / layout.EXPERIMENTS, folder.report):
            drop_unfinished(path)
        set_changed_aside(plan, folder, changed, observe)
        counting = _Counting(observe)
        with _signals() as stopping:
            scheduler = _schedule(plan, folder, options, counting, stopping, refused)
        states = {p.experiment.id: experiment_state(p, scheduler.states) for p in plan.experiments}
        results = folder.read(plan)
        for planned in plan.experiments:
            _write_experiment(folder, plan, planned, states[planned.experiment.id], results)
    return RunSummary(
        out=options.out,
        experiments=_counted(states.values()),
        stages=dict(scheduler.counts),
        seconds=time.monotonic() - started,
        interrupted=stopping(),
        worked=counting.done,
        failures=_failures(plan, scheduler, folder),
        skipped=skipped,
    )


def _schedule(
    plan: Plan,
    folder: RunFolder,
    options: RunOptions,
    observe: Observer,
    stopping: Callable[[], bool],
    refused: dict[str, str],
) -> Scheduler:
    """Runs the scheduler to its end; pool and ledger are closed however it ends.

    Where the tests have grown, rows are prepared first, and trainings that read a test item are taken back.
    """
    with (
        closing(make_pool(options, plan)) as pool,
        Ledger(options.out) as ledger,
        tracked(options.trackers, plan, folder, observe, stopping) as heard,
    ):
        survey(plan, folder, heard)  # sets damaged results aside before anything is compared
        if must_look_first(plan, folder):
            first = preparations(plan)
            refusals = {name: why for name, why in refused.items() if name in first.stages}
            early = Scheduler(first, folder, pool, ledger, cache_of(options), stopping, heard, refusals)
            early.run()
            refused = {**refused, **early.errors}
        for taken in [] if stopping() else take_back(plan, folder):
            heard(Note(taken.sentence))
        scheduler = Scheduler(plan, folder, pool, ledger, cache_of(options), stopping, heard, refused)
        scheduler.run()
    return scheduler


@dataclass
class _Counting:
    """An observer in front of another.

    Counts the stages that were done in this run, warns of sources that lose many rows, and says once what was guessed
    about the layout of files.
    """

    observe: Observer
    done: int = 0
    guesses: set[str] = field(default_factory=set)

    def __call__(self, event: RunEvent) -> None:
        if isinstance(event, StageChanged) and event.outcome is not None:
            self.done += 1
            facts = event.outcome.facts
            if isinstance(facts, PreparedFacts | ItemsFacts):
                for guess in set(facts.guesses) - self.guesses:
                    self.observe(Note(guess))
                self.guesses.update(facts.guesses)
            if isinstance(facts, PreparedFacts):
                for sentence in warnings_of(facts):
                    self.observe(Note(sentence))
        self.observe(event)


def experiment_state(planned: PlannedExperiment, states: dict[str, str]) -> str:
    """An experiment is done when all its stages are, failed when one is or cannot be, running when one is."""
    own = {states[stage] for stage in planned.stages}
    if own & {"failed", "blocked"}:
        return "failed"
    if own <= {"done"}:
        return "done"
    return "running" if own & {"running"} else "pending"


def _check_inputs(plan: Plan, options: RunOptions) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The stages whose source is missing (with `skip_missing`), and the experiments that do not run without them.

    Raises ModelError, and without `skip_missing` SourceMissing.
    """
    fault = missing_base(plan, options.data)
    if fault is not None:
        raise ModelError(fault)
    check_base(plan, options.data)
    missing = missing_inputs(plan, options.data, options.here)
    if not missing:
        return {}, {}
    avoided = {why: stages for why, stages in missing.items() if only_avoided(plan, stages)}
    if not options.skip_missing:
        raise SourceMissing(_missing_sentence(plan, missing, avoided))
    refused = {
        name: why for why, stages in missing.items() for name in stages if not only_avoided(plan, [name])
    }  # the others run, and find nothing to look for
    missing = {why: [name for name in stages if name in refused] for why, stages in missing.items()}
    skipped = {why: _dependants(plan, set(stages)) for why, stages in missing.items() if stages}
    return refused, skipped


def _missing_sentence(plan: Plan, missing: dict[str, list[str]], avoided: dict[str, list[str]]) -> str:
    """Names the missing sources: those that experiments need, then test sets that are only kept out of training."""
    first, *others = sorted(missing, key=lambda why: why in avoided)
    more = f" (and {len(others)} more: {'; '.join(others)})" if others else ""
    needed = {name for why, stages in missing.items() if why not in avoided for name in _dependants(plan, set(stages))}
    if not needed:
        purpose = "only to keep test items out of training"
        return f"{first}{more}; {purpose}, --skip-missing trains without looking for them"
    sentence = f"{first}{more}; {len(needed)} experiments need it, --skip-missing runs the rest"
    if avoided:
        sentence += f" ({len(avoided)} of these test sets are only kept out of training, and then not looked for)"
    return sentence


def _dependants(plan: Plan, stages: set[str]) -> list[str]:
    """The experiments that need one of the stages, directly or not."""
    reached = set(stages)
    for name, stage in plan.stages.items():
        if reached.intersection(stage.inputs):
            reached.add(name)
    return [p.experiment.id for p in plan.experiments if reached.intersection(p.stages)]


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Yields a function that returns true once SIGINT or SIGTERM has come; a second signal ends at once."""
    asked = threading.Event()

    def stop(number: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_experiment(folder: RunFolder, plan: Plan, planned: PlannedExperiment, state: str, results: Results) -> None:
    scores: dict[str, Any] = {}
    for evaluation in planned.all_evaluations:
        outcome = results.outcomes.get(evaluation.stage)
        if outcome is not None:
            assert isinstance(outcome.facts, EvaluatedFacts)
            skipped = outcome.facts.skipped
            scores[evaluation.key] = {"skipped": skipped} if skipped else outcome.facts.metrics
    write_json(
        folder.path / layout.EXPERIMENTS / f"{planned.experiment.id}.json",
        {
            "id": planned.experiment.id,
            "state": state,
            "stages": [folder.folder(plan.stages[name]).path.name for name in planned.stages],
            "adapter": folder.folder(plan.stages[planned.ends[-1]]).path.name if planned.ends else None,
            "scores": scores,
        },
    )


def _counted(states: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys(("done", "running", "failed", "pending"), 0)
    for state in states:
        counts[state] += 1
    return counts


def _failures(plan: Plan, scheduler: Scheduler, folder: RunFolder) -> list[Failure]:
    failures = []
    for name, error in scheduler.errors.items():
        stage = plan.stages[name]
        affected = _dependants(plan, {name})
        log = folder.folder(stage).path / layout.LOG
        failures.append(Failure(stage.label, ", ".join(affected[:3]), error, log))
    return failures
