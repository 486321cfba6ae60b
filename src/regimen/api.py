"""The Python API behind `regimen.run` and `regimen.open_run`; it behaves as the commands do.

Joins study, plan and run. Stands on the floor of the command line and imports lazily.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from regimen.errors import RunFolderError
from regimen.execution.events import Observer
from regimen.execution.runner import RunSummary, run_plan
from regimen.opened_run import Run, open_run
from regimen.plan import DEFAULT_WIDTH, CompileOptions, Plan, compile_with
from regimen.plan.makespan import with_soonest_cohorts
from regimen.plan.options import check_hours
from regimen.plan.rates import remembered
from regimen.plan.step_times import StepTimes
from regimen.results import RunFolder, layout
from regimen.stages.options import RunOptions
from regimen.study import Study, load_study
from regimen.study.values import Seeds

__all__ = ["Run", "RunSummary", "open_run", "run"]


def run(
    plan: Plan,
    *,
    out: str | Path,
    data: str | Path | None = None,
    pool: str = "local",
    ray_address: str | None = None,
    slurm: Sequence[str] = (),
    workers: int | None = None,
    gpus: int | None = None,
    device: str | None = None,
    skip_missing: bool = False,
    accept_changed: bool = False,
    here: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
    trackers: Sequence[str] = (),
    observe: Observer | None = None,
    trust_code: bool = False,
) -> RunSummary:
    """Runs the missing stages of `plan` in the folder `out`; blocks until the run is done, failed or interrupted.

    `data` is a mirror folder; with it the network is never used. `here` is the folder of the study file, beside which
    its own rows lie. `slurm` are the KEY=VALUE of Slurm jobs, for the pool "slurm". `device` "cpu" computes on CPUs
    however long that takes, "cuda" on GPUs or not at all. `trackers` (tensorboard, wandb, mlflow, trackio) get losses
    and scores as stages end, `observe` every change, as the events of `regimen.execution.events`. `trust_code` lets
    metrics that are code of the study run.
    Raises RegimenError as the command reports it.
    """
    options = RunOptions(
        out=Path(out),
        data=Path(data) if data is not None else None,
        here=Path(here) if here is not None else None,
        pool=pool,
        ray_address=ray_address,
        slurm=tuple(slurm),
        workers=workers,
        gpus=gpus,
        device=device,
        skip_missing=skip_missing,
        accept_changed=accept_changed,
        checkpoint_seconds=checkpoint_seconds,
        trackers=tuple(trackers),
        trust_code=trust_code,
    )
    return carry_out(plan, options, observe)


def carry_out(
    plan: Plan, options: RunOptions, observe: Observer | None = None, command: str | None = None
) -> RunSummary:
    """Runs the missing stages of `plan` with the tuned passes and layers; records `command` in the run folder.

    Raises the RegimenError that the command would report.
    """
    tuning = _tuning(plan.study, options.out)
    options = replace(options, pass_tokens=tuning.pass_tokens, compiled=tuning.compiled)
    recorded = {
        "compile": plan.options.to_json(),
        **({"command": command} if command else {}),
        "engine": {"pass_tokens": tuning.pass_tokens, "compiled": tuning.compiled},
    }
    return run_plan(plan, options, observe or (lambda event: None), recorded)


@dataclass(frozen=True)
class _Tuning:
    """Adapters a cohort and their limit, tokens a pass, compiled layers; None: the built-in choice. `times` are
    step times measured on so many `workers`, by which a width is chosen."""

    width: int | None = None
    limit: int | None = None
    times: StepTimes | None = None
    workers: int = 1
    pass_tokens: int | None = None
    compiled: bool | None = None

    @staticmethod
    def recorded(compiled_with: CompileOptions, engine: object, out: Path) -> _Tuning:
        """The tuning in a run.json, whose values these are; raises RunFolderError where it is damaged."""
        values = engine if isinstance(engine, dict) else {}
        tokens, compiled = values.get("pass_tokens"), values.get("compiled")
        whole = tokens is None or (isinstance(tokens, int) and tokens > 0)
        whole = whole and (compiled is None or isinstance(compiled, bool))
        if not (engine is None or isinstance(engine, dict)) or not whole:
            raise RunFolderError(f"{out / layout.SETTINGS} is damaged: its `engine` is {engine!r}; take it out")
        return _Tuning(compiled_with.cohort_width, compiled_with.cohort_limit, pass_tokens=tokens, compiled=compiled)


def _tuning(study: Study, out: Path | None) -> _Tuning:
    """The run folder's own tuning, so that a resumed run rounds alike; for a new one that of `regimen bench`."""
    if out is not None and (out / layout.SETTINGS).is_file():
        folder = RunFolder(out)
        with suppress(RunFolderError):  # a damaged run.json is written anew, as for a new folder
            return _Tuning.recorded(folder.compile_options(), folder.settings().get("engine"), out)
    rate = remembered(study)
    if rate is None:
        return _Tuning()
    width = rate.width if rate.times is None else None
    return _Tuning(width, None, rate.times, rate.workers, rate.pass_tokens, rate.compiled)


def count_epochs(study: Study, *, data: str | Path | None = None, here: str | Path | None = None) -> Study:
    """The study with its epochs counted in steps, which reads the rows of their sources once; needed before compiling.

    `data` and `here` as for `run`. A study without epochs is returned as it is. Raises RegimenError as `run` does.
    """
    if all(leg.steps for experiment in study.experiments for leg in experiment.legs):
        return study
    from regimen.stages.epochs import with_counted_epochs

    return with_counted_epochs(study, Path(data) if data else None, Path(here) if here else None)


def load_and_compile(
    study: str | Path,
    *,
    profile: str | None = None,
    track: str = "full",
    seed: int | None = None,
    seeds: Seeds | None = None,
    item_seed: int | None = None,
    only: Sequence[str] = (),
    tasks: Sequence[str] = (),
    eval_items: int | None = None,
    sharing: bool = True,
    cohort_width: int | None = None,
    gpus: int | None = None,
    out: Path | None = None,
    data: Path | None = None,
    here: Path | None = None,
    budget_hours: float | None = None,
    trust_code: bool = False,
) -> Plan:
    """Loads a study, counts its epochs in steps and compiles it, as the commands do; `data` and `here` as for `run`.

    With a budget, compiles the best subset that fits.

    The default `cohort_width` is that of the run folder `out`; for a new one that by which the plan ends soonest on so
    many `gpus`, by step times measured on this machine or else estimated. Raises StudyError or UsageError.
    """
    loaded = load_study(study, profile, seed=seed, seeds=seeds, item_seed=item_seed, trust_code=trust_code)
    loaded = count_epochs(loaded, data=data, here=here)
    tuning = _tuning(loaded, out)
    if cohort_width is not None:
        tuning = replace(tuning, width=cohort_width, limit=None)
    if budget_hours is not None:
        check_hours(budget_hours)
    options = CompileOptions(
        track=track,
        only=tuple(only),
        tasks=tuple(tasks),
        eval_items=eval_items,
        sharing=sharing,
        cohort_width=DEFAULT_WIDTH if tuning.width is None else tuning.width,
        cohort_limit=tuning.limit,
    )
    workers = tuning.workers if gpus is None else gpus
    plan = compile_with(loaded, options, gpus=workers, times=tuning.times)
    if budget_hours is not None:
        from regimen.plan.budget import choose_within

        choice = choose_within(plan, budget_hours)
        chosen = compile_with(loaded, replace(options, only=choice.chosen), gpus=workers, times=tuning.times)
        plan = replace(chosen, budget=choice)
    return with_soonest_cohorts(plan) if tuning.width is None else plan
