"""One run of a plan in a run folder, from the check of what is missing to the last marker.

Owns the order: check, lock, survey, schedule, note what each experiment came to. Handles signals. Does not know what
stages do, and prints nothing.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regimen.errors import ModelError, SourceMissing, UsageError
from regimen.execution.local_pool import LocalPool
from regimen.execution.pool import Pool
from regimen.execution.scheduler import Observer, Scheduler
from regimen.files import cache_home, write_json
from regimen.plan import Plan, PlannedExperiment
from regimen.results import Ledger, RunFolder
from regimen.stages.availability import missing_base, missing_inputs
from regimen.stages.place import Place


@dataclass(frozen=True)
class Settings:
    """Where and how a plan is run; no result depends on it beyond rounding."""

    out: Path
    data: Path | None = None
    here: Path | None = None
    pool: str = "local"
    ray_address: str | None = None
    workers: int | None = None
    gpus: int | None = None
    skip_missing: bool = False
    checkpoint_seconds: float = 60.0
    pass_tokens: int | None = None
    compiled: bool = False


@dataclass(frozen=True)
class RunSummary:
    """How a run ended: experiments by state, stages by state, seconds, the first failures."""

    out: Path
    experiments: dict[str, int]
    stages: dict[str, int]
    seconds: float
    interrupted: bool
    worked: int
    failures: list[dict[str, str]] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 done, 1 some experiments failed, 130 interrupted."""
        if self.interrupted:
            return 130
        return 1 if self.experiments.get("failed") else 0


def run_plan(plan: Plan, settings: Settings, observe: Observer, recorded: dict[str, Any]) -> RunSummary:
    """Runs what is missing. Raises SourceMissing or ModelError, nothing written, if something needed is not there."""
    started = time.monotonic()
    folder = RunFolder(settings.out)
    todo = _is_anything_left(plan, folder)
    refused, skipped = _check_inputs(plan, settings) if todo else ({}, {})
    pool = _make_pool(settings, plan)
    with folder.locked():
        folder.create(plan.study, plan, recorded)
        ledger = Ledger(settings.out)
        try:
            with _signals() as stopping:
                worked = _Counting(observe)
                scheduler = Scheduler(plan, folder, pool, ledger, cache_home(), stopping, worked, refused)
                scheduler.run()
        finally:
            pool.close()
            ledger.close()
        states = {p.experiment.id: experiment_state(p, scheduler.states) for p in plan.experiments}
        for planned in plan.experiments:
            _write_experiment(folder, plan, planned, states[planned.experiment.id])
    return RunSummary(
        out=settings.out,
        experiments=_counted(states.values()),
        stages=dict(scheduler.counts),
        seconds=time.monotonic() - started,
        interrupted=stopping(),
        worked=worked.done,
        failures=_failures(plan, scheduler, folder),
        skipped=skipped,
    )


@dataclass
class _Counting:
    """Counts the stages that were done in this run."""

    observe: Observer
    done: int = 0

    def __call__(self, what: str, facts: dict[str, Any]) -> None:
        if what == "state" and facts["outcome"] is not None:
            self.done += 1
        self.observe(what, facts)


def experiment_state(planned: PlannedExperiment, states: dict[str, str]) -> str:
    """An experiment is done when all its stages are, failed when one is or cannot be, running when one is."""
    own = {states[stage] for stage in planned.stages}
    if own & {"failed", "blocked"}:
        return "failed"
    if own <= {"done"}:
        return "done"
    return "running" if own & {"running"} else "pending"


def _is_anything_left(plan: Plan, folder: RunFolder) -> bool:
    return any(not folder.folder(stage).done for stage in plan.stages.values())


def _check_inputs(plan: Plan, settings: Settings) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Stages refused for want of a source (with `skip_missing`), and the experiments that thus do not run."""
    fault = missing_base(plan, settings.data)
    if fault is not None:
        raise ModelError(fault)
    missing = missing_inputs(plan, settings.data, settings.here)
    if not missing:
        return {}, {}
    refused = {stage: why for why, stages in missing.items() for stage in stages}
    skipped = {why: _dependants(plan, set(stages)) for why, stages in missing.items()}
    if not settings.skip_missing:
        first, *others = missing
        more = f" (and {len(others)} more: {'; '.join(others)})" if others else ""
        count = len({name for names in skipped.values() for name in names})
        raise SourceMissing(f"{first}{more}; {count} experiments need it, --skip-missing runs the rest")
    return refused, skipped


def _dependants(plan: Plan, stages: set[str]) -> list[str]:
    reached = set(stages)
    for name, stage in plan.stages.items():
        if reached.intersection(stage.inputs):
            reached.add(name)
    return [p.experiment.id for p in plan.experiments if reached.intersection(p.stages)]


def _make_pool(settings: Settings, plan: Plan) -> Pool:
    place = {
        "stages": str((settings.out / "stages").resolve()),
        "cache": str(cache_home()),
        "data": str(settings.data.resolve()) if settings.data else None,
        "here": str(settings.here.resolve()) if settings.here else None,
        "checkpoint_seconds": settings.checkpoint_seconds,
        "pass_tokens": settings.pass_tokens,
        "compiled": settings.compiled,
    }
    if settings.pool != "local":
        raise UsageError(f"no pool {settings.pool!r}; there is local")
    gpus = visible_gpus() if settings.gpus is None else settings.gpus
    if gpus:
        count = settings.workers or gpus
        places = [Place(**place, device="cuda:0").to_json() for _ in range(count)]
        environments = [{"CUDA_VISIBLE_DEVICES": _device(slot % gpus)} for slot in range(count)]
        return LocalPool(places, settings.out / "logs", environments)
    count = settings.workers or default_workers(plan)
    threads = max(1, available_cores() // count)
    places = [Place(**place, threads=threads).to_json() for _ in range(count)]
    return LocalPool(places, settings.out / "logs", [{"OMP_NUM_THREADS": str(threads)}] * count)


def _device(index: int) -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[index] if visible else str(index)


def visible_gpus() -> int:
    """NVIDIA GPUs that this process may use, found without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers(plan: Plan) -> int:
    """A worker a core for a packaged (tiny) base, whose products are too small to share; else one with all cores."""
    return available_cores() if plan.study.base.origin == "packaged" else 1


@contextmanager
def _signals() -> Iterator[Callable[[], bool]]:
    """Within, SIGINT and SIGTERM ask to stop; a second one ends at once."""
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


def _write_experiment(folder: RunFolder, plan: Plan, planned: PlannedExperiment, state: str) -> None:
    scores: dict[str, Any] = {}
    for key, name in {**planned.evaluations, **planned.extra_evaluations}.items():
        outcome = folder.outcome(plan.stages[name])
        if outcome is not None:
            skipped = outcome.facts.get("skipped")
            scores[key] = {"skipped": skipped} if skipped else outcome.facts["metrics"]
    write_json(
        folder.path / "experiments" / f"{planned.experiment.id}.json",
        {
            "id": planned.experiment.id,
            "state": state,
            "stages": [plan.stages[name].folder for name in planned.stages],
            "adapter": plan.stages[planned.ends[-1]].folder if planned.ends else None,
            "scores": scores,
        },
    )


def _counted(states: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = dict.fromkeys(("done", "running", "failed", "pending"), 0)
    for state in states:
        counts[state] += 1
    return counts


def _failures(plan: Plan, scheduler: Scheduler, folder: RunFolder) -> list[dict[str, str]]:
    failures = []
    for name, error in scheduler.errors.items():
        affected = _dependants(plan, {name})
        log = folder.folder(plan.stages[name]).path / "log.jsonl"
        failures.append(
            {"stage": plan.stages[name].label, "experiment": ", ".join(affected[:3]), "error": error, "log": str(log)}
        )
    return failures
