"""`regimen export`: an experiment's adapter as PEFT loads it, or the whole model with it merged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regimen.cli.options import DataOption

if TYPE_CHECKING:
    from regimen.api import Run
    from regimen.plan import PlannedExperiment, TrainSpec

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
    files.export(trained, to, card_of(opened, planned, end, merged=merged), merged=merged)  # type: ignore[arg-type]
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


def card_of(opened: Run, planned: PlannedExperiment, end: TrainSpec, *, merged: bool) -> str:
    """A plain model card: what it is, every setting, and the licences of what it was trained on."""
    from huggingface_hub import ModelCard, ModelCardData

    leg, experiment = end.leg, planned.experiment
    whole = merged or leg.adapter.method == "full"
    known: dict[str, Any] = {"base_model": leg.base.id, "tags": ["regimen", *([] if whole else ["lora"])]}
    head = ModelCardData(library_name="transformers" if whole else "peft", pipeline_tag="text-generation", **known)
    targets = leg.adapter.targets if isinstance(leg.adapter.targets, str) else ", ".join(leg.adapter.targets)
    settings = [
        ("base model", leg.base.id),
        ("base revision", leg.base.revision),
        ("method", "full fine-tuning" if leg.adapter.method == "full" else "LoRA" + ", merged" * merged),
        *([] if leg.adapter.method == "full" else _lora(leg.adapter.rank, leg.adapter.alpha, targets)),
        ("steps", f"{planned.steps:,}"),
        ("peak learning rate of the last leg", f"{leg.learning_rate:g}"),
        ("seed", leg.seed),
    ]
    names = dict.fromkeys(name for part in experiment.legs for name in part.mixture)
    sources = [opened.study.sources[name] for name in names]
    rows = [f"| {source.hub or ', '.join(source.files)} | {source.licence} |" for source in sources]
    text = [
        f"---\n{head.to_yaml()}\n---\n\n# {experiment.title}\n",
        f"Experiment `{experiment.id}` of the study `{opened.study.study}`, trained with regimen.\n",
        "| setting | value |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in settings) + "\n",
        "| trained on | licence as stated |\n|---|---|\n" + "\n".join(rows) + "\n",
        "The licence of the base model applies to what is derived from it, beside those above.\n",
    ]
    return str(ModelCard("\n".join(text)))


def _lora(rank: int, alpha: float, targets: str) -> list[tuple[str, Any]]:
    return [("r", rank), ("alpha", f"{alpha:g}"), ("dropout", 0), ("target modules", targets)]
