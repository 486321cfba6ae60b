"""`regimen score PREDICTIONS --task T --run OUT`: another system's answers to the same items, as a row of the run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import JsonOption, TrustOption

if TYPE_CHECKING:
    from regimen.results.external import ExternalRow


def score(
    predictions: Annotated[
        Path, typer.Argument(help='Answers as JSONL: {"item_id": ..., "prediction": ...}.', metavar="PREDICTIONS")
    ],
    task: Annotated[str, typer.Option("--task", help="The task they answer.")],
    run: Annotated[Path, typer.Option("--run", help="The run folder, whose items they answer.", file_okay=False)],
    name: Annotated[
        str | None, typer.Option("--name", help="The system's name (default: the file's), as in external~NAME.")
    ] = None,
    trust_code: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score another system's answers to a task's items, as a row beside the run's models.

    `regimen items` writes the items. The row is no candidate for a recipe; the same name again takes its place.
    """
    from regimen.api import open_run
    from regimen.execution.machine import available_cores
    from regimen.stages.external_answers import score_file

    opened = open_run(run)
    named = name if name is not None else predictions.stem.lower()
    row = score_file(
        opened.folder, opened.plan, task, predictions, named, trust_code=trust_code, parallel=available_cores()
    )
    if as_json:
        typer.echo(row.model_copy().model_dump_json(indent=1))
    else:
        typer.echo(_words(row))


def _words(row: ExternalRow) -> str:
    values = [f"{name} {value:.3f}" for name, value in row.defined.items()]
    lacking = [name for name, value in row.metrics.items() if value is None]
    lines = [f"{row.id}, {row.task}, {row.count:,} items: {', '.join(values)}"]
    counted = {
        "had no answer and count as wrong": row.unanswered,
        "could not be read and count as wrong": row.unread,
        "went on beyond the task's stop and were cut there, as a model's are": row.cut,
    }
    lines += [f"{number:,} {words}" for words, number in counted.items() if number]
    if lacking:
        lines.append(f"without a value, since they need a model's likelihoods: {', '.join(lacking)}")
    lines.append(f"it stands in results.csv and the report; compare it as {row.id}")
    return "\n".join(lines)
