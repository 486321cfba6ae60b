"""`regimen serve`: the report of a run, live, on this machine only."""

from __future__ import annotations

from typing import Annotated

import typer

from regimen.cli.options import OutArgument


def serve(
    out: OutArgument,
    port: Annotated[int, typer.Option("--port", help="Port on 127.0.0.1; 0 takes a free one.")] = 8765,
) -> None:
    """Show the report of a run in a browser and refresh it while the run goes on."""
    from regimen.api import open_run
    from regimen.report.live_page import HOST, Watch, make_server

    open_run(out)  # raises for a folder that holds no run, before anything listens
    watch = Watch(out)
    with make_server(watch, port) as server:
        typer.echo(f"http://{HOST}:{server.server_address[1]}/ shows {out}; Ctrl-C ends it")
        watch.start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("ended", err=True)
        finally:
            watch.stop()
