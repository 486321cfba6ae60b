"""`regimen run`: carries out a study; a second call runs only the missing stages."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import Place, RunChoice, StudyArgument, folder_of, spread

if TYPE_CHECKING:
    from regimen.plan import Plan
    from regimen.stages.options import RunOptions


@spread
def run(
    study: StudyArgument,
    out: Annotated[Path, typer.Option("--out", help="The run folder.", file_okay=False, metavar="OUT")],
    choice: RunChoice,
    place: Place,
) -> None:
    """Train and evaluate the missing stages, then write the report."""
    from regimen.api import load_and_compile
    from regimen.execution.devices import gpu_workers
    from regimen.stages.options import RunOptions

    here = folder_of(study)
    options = RunOptions(out=out, here=here, **place.keywords())
    plan = load_and_compile(
        study,
        out=out,
        data=place.data,
        here=here,
        trust_code=place.trust_code,
        gpus=gpu_workers(options),
        **choice.keywords(),
    )
    _carry_out(plan, options)


def _carry_out(plan: Plan, options: RunOptions) -> None:
    """Runs the plan under a display of its progress, brings the report up to date, exits."""
    from regimen import api
    from regimen.cli.progress import Progress, steps_of

    with Progress(plan) as progress:
        summary = api.carry_out(plan, options, progress, command=shlex.join(["regimen", *sys.argv[1:]]))
    progress.conclude(summary)
    if not summary.interrupted:
        from regimen.report.run_report import up_to_date_report

        opened = api.open_run(options.out)
        with steps_of("writing the report") as tell:
            page = up_to_date_report(opened.folder, opened.plan, tell=tell)
        typer.echo(f"report: {page}")
    sys.exit(summary.exit_code)
