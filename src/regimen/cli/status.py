"""`regimen status`: the progress of a run, read from disk and ledger."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from regimen.cli.options import JsonOption, OutArgument

WATCH_SECONDS = 2.0


def status(
    out: OutArgument,
    json_output: JsonOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh until nothing runs.")] = False,
) -> None:
    """Show how many stages are done, running, failed and pending; hours; the first failure and its log."""
    from regimen.api import open_run
    from regimen.results.status import run_status

    if json_output:
        run = open_run(out)
        typer.echo(json.dumps(run_status(run.folder, run.plan), indent=2, ensure_ascii=False))
        return
    from rich.live import Live

    from regimen.cli.status_view import status_view
    from regimen.cli.terminal import console

    run = open_run(out)
    if not watch:
        console().print(status_view(run_status(run.folder, run.plan), run.plan))
        return
    with Live(console=console(), refresh_per_second=2) as live:
        while True:
            current = run_status(run.folder, run.plan)
            live.update(status_view(current, run.plan), refresh=True)
            if not current["alive"]:
                return
            time.sleep(WATCH_SECONDS)
