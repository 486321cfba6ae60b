"""`regimen metrics`: the metrics that a task may name."""

from __future__ import annotations

import json

import typer

from regimen.cli.options import JsonOption


def metrics(json_output: JsonOption = False) -> None:
    """List the metrics with their scorings, their better direction and a line of explanation."""
    from regimen.study.metrics import METRICS

    if json_output:
        typer.echo(json.dumps([metric.to_json() for metric in METRICS.values()], indent=2, ensure_ascii=False))
        return
    from rich.table import Table

    from regimen.cli.terminal import console

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("metric", "scoring", "better", "over items", "says"):
        table.add_column(name, no_wrap=name != "says")
    for metric in METRICS.values():
        over = "mean" if metric.mean else "together"
        table.add_row(metric.name, ", ".join(metric.scorings), metric.better, over, metric.about)
    screen = console()
    screen.print(table)
    screen.print("A task of lm-evaluation-harness (`lm_eval: NAME`) takes the harness's own metrics, such as acc.")
