"""`regimen export`: an experiment's adapter as PEFT loads it, or the whole model with it merged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import DataOption

if TYPE_CHECKING:
    from regimen.api import Run
    from regimen.plan import EvaluateSpec, PlannedExperiment

RunOption = Annotated[Path, typer.Option("--run", help="The run folder it was trained in.", file_okay=False)]
ToOption = Annotated[Path, typer.Option("--to", help="A new folder.", file_okay=False)]


def export(
    experiment: Annotated[str, typer.Argument(help="An experiment's id.")],
    run: RunOption,
    to: ToOption,
    merged: Annotated[bool, typer.Option("--merged", help="Write the whole model, adapter merged.")] = False,
    data: DataOption = None,
    lm_eval: Annotated[
        bool, typer.Option("--lm-eval", help="Also write its tasks for lm-evaluation-harness, to TO/lm-eval.")
    ] = False,
    push: Annotated[str | None, typer.Option(help="Also send it to this model repository on the Hub.")] = None,
) -> None:
    """Write a PEFT adapter folder, or a merged model, with its card."""
    from regimen.api import open_run
    from regimen.engine import export as files
    from regimen.engine.locate import locate_base
    from regimen.report.model_card import model_card
    from regimen.results.tables import RunTables

    opened = open_run(run)
    planned = opened.planned(experiment)
    end = opened.plan.stages[planned.ends[-1]]
    leg = end.leg  # type: ignore[union-attr]
    base_folder = locate_base(leg.base, data)
    trained = files.Trained(
        folder=opened.trained(planned.ends[-1], experiment, data),
        base=leg.base,
        base_folder=base_folder,
        adapter=leg.adapter,
        merged_before=[
            files.TrainedAdapter(opened.trained(end.stage, experiment, data), end.adapter) for end in leg.merged
        ],
        chat_template=_chat_template(opened, list(leg.mixture), base_folder),
    )
    tasks = _evaluated(opened, planned) if lm_eval else []
    card = model_card(RunTables(opened.folder, opened.plan), experiment, merged=merged)
    files.export(trained, to, card, merged=merged)
    typer.echo(f"{experiment}: {to}")
    if lm_eval:
        _export_tasks(opened, tasks, to / "lm-eval")
    if push:
        files.push(to, push)
        typer.echo(f"{experiment}: https://huggingface.co/{push}")


def _chat_template(opened: Run, sources: list[str], base_folder: Path) -> str | None:
    """The chat template of the last leg's conversations: a chat server needs the same one."""
    from regimen.data.chat import template_of

    forms = [opened.study.sources[name].form for name in sources]
    choices = [form.chat_template for form in forms if form.messages is not None]
    return template_of(base_folder, choices[0]).plain if choices else None


def _evaluated(opened: Run, planned: PlannedExperiment) -> list[EvaluateSpec]:
    """The tasks whose test items are in the run folder; raises RunFolderError where there are none."""
    from regimen.errors import RunFolderError
    from regimen.plan import EvaluateSpec

    stages = [opened.plan.stages[name] for name in planned.evaluations.values()]
    ready = [
        s for s in stages if isinstance(s, EvaluateSpec) and opened.folder.folder(opened.plan.stages[s.items]).done
    ]
    if not ready:
        raise RunFolderError(
            f"{planned.experiment.id} has no test items yet in {opened.folder.path}; run the study first"
        )
    return ready


def _export_tasks(opened: Run, tasks: list[EvaluateSpec], folder: Path) -> None:
    """Writes the tasks that lm-evaluation-harness can run, and names the others."""
    from regimen.data.items import read_items
    from regimen.errors import DataError
    from regimen.evaluation.lm_eval_export import export_task
    from regimen.results import layout

    for stage in tasks:
        items = read_items(opened.folder.folder(opened.plan.stages[stage.items]).path / layout.ITEMS)
        try:
            typer.echo(f"{stage.task_name}: {export_task(stage.task_name, stage.task, items, folder)}")
        except DataError as fault:
            typer.echo(f"{stage.task_name}: left out, {fault}")
