"""`regimen compare A B --run OUT`: the fields that differ in two recipes, and their paired differences by task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import JsonOption

if TYPE_CHECKING:
    from regimen.analysis.experiment_comparison import ExperimentComparison, TaskDifference


def compare(
    a: Annotated[str, typer.Argument(help="An experiment's id, or zero-shot.")],
    b: Annotated[str, typer.Argument(help="The experiment that it is compared with, or zero-shot.")],
    run: Annotated[Path, typer.Option("--run", help="The run folder.")],
    task: Annotated[list[str] | None, typer.Option("--task", help="Only this task; may be repeated.")] = None,
    as_json: JsonOption = False,
    html: Annotated[Path | None, typer.Option("--html", help="Also write it as a page, here.", dir_okay=False)] = None,
) -> None:
    """Compare two experiments of a run."""
    from regimen.analysis.evidence import Evidence
    from regimen.analysis.experiment_comparison import compare_experiments
    from regimen.analysis.records import to_json
    from regimen.api import open_run
    from regimen.results.tables import RunTables

    opened = open_run(run)
    comparison = compare_experiments(Evidence(RunTables(opened.folder, opened.plan)), a, b, task or ())
    if html:
        from regimen.files import write_text
        from regimen.report.comparison_page import comparison_page

        write_text(html, comparison_page(comparison))
    if as_json:
        typer.echo(json.dumps(to_json(comparison), indent=1))
    else:
        _show(comparison)


def _show(comparison: ExperimentComparison) -> None:
    from rich.table import Table

    from regimen.cli.terminal import console

    screen = console()
    recipe = Table("recipe", comparison.a, comparison.b, title="What differs", title_justify="left")
    for field in comparison.recipe:
        recipe.add_row(field.field, _cell(field.a), _cell(field.b))
    screen.print(recipe if comparison.recipe else "The recipes are the same.")
    scores = Table(title=f"{comparison.a} less {comparison.b}, up is better", title_justify="left")
    for name in ("task", "metric", "a", "b", "difference (95%)", "p (Holm)"):
        scores.add_column(name, justify="left" if name in ("task", "metric") else "right")
    for row in comparison.tasks:
        scores.add_row(row.task, row.metric, _cell(row.a), _cell(row.b), *_difference(row))
    screen.print(scores)
    for row in comparison.tasks:
        if row.comparison:
            screen.print(f"{row.task}: {row.statement}")


def _difference(row: TaskDifference) -> tuple[str, str]:
    tested = row.comparison
    if tested is None:
        return row.statement, ""
    return f"{tested.estimate:+.3f} ({tested.low:+.3f}, {tested.high:+.3f})", f"{tested.p_adjusted:.2g}"


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
