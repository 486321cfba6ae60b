"""The Python face behind `regimen.run` and `regimen.open_run`: the same semantics as the commands.

Owns the joining of study, plan and run. Stands on the floor of the command line and imports lazily.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regimen.execution.places import Settings
from regimen.execution.runner import RunSummary, run_plan
from regimen.plan import DEFAULT_WIDTH, Plan, compile_plan
from regimen.plan.rates import remembered
from regimen.results import RunFolder
from regimen.study import Study, load_study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run", "RunSummary", "open_run", "run"]


def run(
    plan: Plan,
    *,
    out: str | Path,
    data: str | Path | None = None,
    pool: str = "local",
    ray_address: str | None = None,
    workers: int | None = None,
    gpus: int | None = None,
    skip_missing: bool = False,
    here: str | Path | None = None,
    checkpoint_seconds: float = 60.0,
    trackers: Sequence[str] = (),
    observe: Callable[[str, dict[str, Any]], None] | None = None,
    recorded: dict[str, Any] | None = None,
) -> RunSummary:
    """Runs what is missing of `plan` in the folder `out`; blocks until it is done, failed or interrupted.

    `data` is a mirror folder; with it the network is never used. `observe` is told of every change, `trackers`
    (tensorboard, wandb, mlflow, trackio) of losses and scores as stages end.
    """
    tuned = _tuned(plan.study, Path(out))
    settings = Settings(
        out=Path(out),
        data=Path(data) if data is not None else None,
        here=Path(here) if here is not None else None,
        pool=pool,
        ray_address=ray_address,
        workers=workers,
        gpus=gpus,
        skip_missing=skip_missing,
        checkpoint_seconds=checkpoint_seconds,
        pass_tokens=tuned.get("pass_tokens"),
        compiled=tuned.get("compiled", False),
        trackers=tuple(trackers),
    )
    kept = {"pass_tokens": settings.pass_tokens, "compiled": settings.compiled}
    recorded = {**(recorded or _recorded(plan)), "engine": kept}
    return run_plan(plan, settings, observe or (lambda what, facts: None), recorded)


def _recorded(plan: Plan) -> dict[str, Any]:
    """What a run folder keeps so that reports compile the same plan."""
    return {"compile": dict(plan.compiled_with)}


def _tuned(study: Study, out: Path | None) -> dict[str, Any]:
    """Cohort width, tokens a pass, compiled layers: what the run folder was begun with, so that a resumed run rounds
    alike; for a new one what `regimen bench` measured on this machine, if it did."""
    if out is not None and (out / "run.json").is_file():
        settings = RunFolder(out).settings()
        return {"width": settings.get("compile", {}).get("cohort_width"), **settings.get("engine", {})}
    rate = remembered(study)
    return {} if rate is None else {"width": rate.width, "pass_tokens": rate.pass_tokens, "compiled": rate.compiled}


class Run:
    """A run folder, opened for reading; works on a half-finished run."""

    def __init__(self, out: str | Path):
        self.folder = RunFolder(Path(out))
        self.study: Study = self.folder.study()
        self.plan: Plan = compile_plan(self.study, **self.folder.settings()["compile"])

    def results(self) -> pd.DataFrame:
        """The columns of results.csv, one row for each experiment, task and metric; missing cells are left out."""
        from regimen.analysis.results_table import results_table

        return results_table(self.folder, self.plan)


def open_run(out: str | Path) -> Run:
    """Opens a run folder; raises RunFolderError if it is none."""
    return Run(out)


def load_and_compile(
    study: str | Path,
    *,
    profile: str | None = None,
    track: str = "full",
    seed: int | None = None,
    only: Sequence[str] = (),
    tasks: Sequence[str] = (),
    eval_items: int | None = None,
    sharing: bool = True,
    cohort_width: int | None = None,
    gpus: int = 1,
    out: Path | None = None,
    budget_hours: float | None = None,
) -> Plan:
    """Loads a study and compiles it, as the commands do; with a budget, the best subset of it that fits.

    Without `cohort_width` it is that of the run folder `out`, or the one measured on this machine.
    """
    loaded = load_study(study, profile, seed=seed)
    compile_for = partial(
        compile_plan,
        loaded,
        track=track,
        tasks=tasks,
        eval_items=eval_items,
        sharing=sharing,
        cohort_width=cohort_width or _tuned(loaded, out).get("width") or DEFAULT_WIDTH,
        gpus=gpus,
    )
    plan = compile_for(only=only)
    if budget_hours is None:
        return plan
    from regimen.plan.budget import choose_within

    choice = choose_within(plan, budget_hours)
    return replace(compile_for(only=choice.chosen), budget=choice.to_json())
