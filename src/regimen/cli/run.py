"""`regimen run`: carries out a study; a second call runs only the missing stages."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import (
    BudgetOption,
    DataOption,
    ItemSeedOption,
    OnlyOption,
    ProfileOption,
    SeedOption,
    SeedsOption,
    StudyArgument,
    TrackOption,
    TrustOption,
    folder_of,
    parse_seeds,
)

if TYPE_CHECKING:
    from regimen.plan import Plan
    from regimen.stages.options import RunOptions


def run(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", help="The run folder.", file_okay=False)],
    profile: ProfileOption = None,
    track: TrackOption = "full",
    only: OnlyOption = None,
    budget_hours: BudgetOption = None,
    tasks: Annotated[str | None, typer.Option(help="Evaluate only these tasks, comma-separated.")] = None,
    eval_items: Annotated[int | None, typer.Option(help="Test items per task.")] = None,
    data: DataOption = None,
    pool: Annotated[str, typer.Option(help="local or ray.")] = "local",
    ray_address: Annotated[str | None, typer.Option(help="local (default), auto, or host:port.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Worker processes.")] = None,
    gpus: Annotated[int | None, typer.Option(min=0, help="GPUs to use; all by default.")] = None,
    cohort_width: Annotated[int | None, typer.Option(min=1, help="Adapters trained together.")] = None,
    sharing: Annotated[bool, typer.Option("--sharing/--no-sharing", help="Share trunks.")] = True,
    seed: SeedOption = None,
    seeds: SeedsOption = None,
    item_seed: ItemSeedOption = None,
    skip_missing: Annotated[bool, typer.Option(help="Run the other experiments when a source is missing.")] = False,
    accept_changed: Annotated[bool, typer.Option(help="Redo the results that depend on changed files.")] = False,
    checkpoint_seconds: Annotated[float, typer.Option(min=0.0, help="Seconds between checkpoints.")] = 60.0,
    tracker: Annotated[list[str] | None, typer.Option(help="tensorboard, wandb, mlflow or trackio; repeat.")] = None,
    trust_code: TrustOption = False,
) -> None:
    """Train and evaluate the missing stages, then write the report."""
    from regimen import api
    from regimen.stages.options import RunOptions

    plan = api.load_and_compile(
        study,
        profile=profile,
        track=track,
        seed=seed,
        seeds=parse_seeds(seeds),
        item_seed=item_seed,
        only=only or (),
        tasks=[task for task in (tasks or "").split(",") if task],
        eval_items=eval_items,
        sharing=sharing,
        cohort_width=cohort_width,
        out=out,
        budget_hours=budget_hours,
        trust_code=trust_code,
    )
    options = RunOptions(
        out=out,
        data=data,
        here=folder_of(study),
        pool=pool,
        ray_address=ray_address,
        workers=workers,
        gpus=gpus,
        skip_missing=skip_missing,
        accept_changed=accept_changed,
        checkpoint_seconds=checkpoint_seconds,
        trackers=tuple(tracker or ()),
        trust_code=trust_code,
    )
    _carry_out(plan, options)


def _carry_out(plan: Plan, options: RunOptions) -> None:
    """Runs the plan under a display of its progress, brings the report up to date, exits."""
    from regimen import api
    from regimen.cli.progress import Progress

    with Progress(plan) as progress:
        summary = api.carry_out(plan, options, progress, command=shlex.join(["regimen", *sys.argv[1:]]))
    progress.conclude(summary)
    if not summary.interrupted:
        from regimen.report.run_report import up_to_date_report

        opened = api.open_run(options.out)
        typer.echo(f"report: {up_to_date_report(opened.folder, opened.plan)}")
    sys.exit(summary.exit_code)
