"""`regimen report`: writes OUT/report/ from the run folder; works on a half-finished run."""

from __future__ import annotations

from typing import Annotated

import typer

from regimen.cli.options import OutArgument


def report(
    out: OutArgument,
    png: Annotated[
        bool, typer.Option("--png", help="Also draw the figures as PNG; needs Chromium or Chrome on the PATH.")
    ] = False,
) -> None:
    """Write the report of a run."""
    from regimen.api import open_run
    from regimen.cli.progress import steps_of
    from regimen.report.run_report import write_report

    opened = open_run(out)
    with steps_of("writing the report") as tell:
        page = write_report(opened.folder, opened.plan, png=png, tell=tell)
    typer.echo(f"report: {page}")
