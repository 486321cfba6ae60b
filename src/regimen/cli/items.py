"""`regimen items --task T --run OUT`: the test items of a task as another system is to be asked them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def items(
    task: Annotated[str, typer.Option("--task", help="The task.")],
    run: Annotated[Path, typer.Option("--run", help="The run folder.", file_okay=False)],
    to: Annotated[Path | None, typer.Option("--to", help="A new file (default: the screen).", dir_okay=False)] = None,
) -> None:
    """Write a task's test items as prompts, a JSON object a line, to send to another system.

    Right answers are left out. `regimen score` reads what the system answered.
    """
    from regimen.api import open_run
    from regimen.errors import UsageError
    from regimen.files import write_text
    from regimen.stages.external_answers import asked_items

    if to is not None and to.exists():
        raise UsageError(f"{to} exists already; choose another file with --to")
    opened = open_run(run)
    asked = list(asked_items(opened.folder, opened.plan, task))
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in asked)
    if to is None:
        typer.echo(text, nl=False)
    else:
        write_text(to, text)
        typer.echo(f"{task}: {len(asked):,} items in {to}")
