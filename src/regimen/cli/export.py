"""`regimen export`: an experiment's adapter as PEFT loads it, or the whole model with it merged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import DataOption

if TYPE_CHECKING:
    from regimen.api import Run
    from regimen.plan import PlannedExperiment

RunOption = Annotated[Path, typer.Option("--run", help="The run folder it was trained in.", file_okay=False)]
ToOption = Annotated[Path, typer.Option("--to", help="A new folder.", file_okay=False)]


def export(
    experiment: Annotated[str, typer.Argument(help="An experiment's id.")],
    run: RunOption,
    to: ToOption,
    merged: Annotated[bool, typer.Option("--merged", help="The whole model, the adapter merged into it.")] = False,
    data: DataOption = None,
    push: Annotated[str | None, typer.Option(help="A model repository on the Hub to send it to.")] = None,
) -> None:
    """Write a PEFT adapter folder, or a merged model, with its card."""
    from regimen.api import open_run
    from regimen.engine import export as files
    from regimen.engine.locate import locate_base
    from regimen.report.cards import model_card
    from regimen.results.tables import RunTables

    opened = open_run(run)
    planned = _experiment(opened, experiment)
    end = opened.plan.stages[planned.ends[-1]]
    leg = end.leg  # type: ignore[union-attr]
    trained = files.Trained(
        folder=_done(opened, planned.ends[-1], experiment),
        base=leg.base,
        base_folder=locate_base(leg.base, data),
        adapter=leg.adapter,
        merged_before=[_done(opened, name, experiment) for name in leg.merged],
    )
    card = model_card(RunTables(opened.folder, opened.plan), experiment, merged=merged)
    files.export(trained, to, card, merged=merged)
    typer.echo(f"{experiment}: {to}")
    if push:
        files.push(to, push)
        typer.echo(f"{experiment}: https://huggingface.co/{push}")


def _experiment(opened: Run, name: str) -> PlannedExperiment:
    from regimen.errors import UsageError
    from regimen.study import unknown_name

    by_id = {planned.experiment.id: planned for planned in opened.plan.experiments}
    if name not in by_id:
        raise unknown_name("experiment", name, by_id)
    if not by_id[name].ends:
        raise UsageError(f"{name} is a baseline and trains nothing; its model is {opened.study.base.id}")
    return by_id[name]


def _done(opened: Run, stage: str, experiment: str) -> Path:
    from regimen.errors import RunFolderError

    folder = opened.folder.folder(opened.plan.stages[stage])
    if not folder.done:
        raise RunFolderError(f"{experiment} is not trained yet in {opened.folder.path}; run the study first")
    return folder.path
