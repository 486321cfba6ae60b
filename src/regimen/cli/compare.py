"""`regimen compare A B --run OUT`: the fields that differ in two recipes, and their paired differences by task.

The two may be of two runs: `compare OUT1:A OUT2:B`, or `compare A B --run OUT1 --run OUT2`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import JsonOption

if TYPE_CHECKING:
    from regimen.analysis.experiment_comparison import ExperimentComparison, TaskDifference
    from regimen.results.tables import RunTables


def compare(
    a: Annotated[str, typer.Argument(help="An experiment's id, or zero-shot.")],
    b: Annotated[str, typer.Argument(help="The experiment that it is compared with, or zero-shot.")],
    run: Annotated[
        list[Path] | None, typer.Option("--run", help="The run folder; twice for two, or name each as FOLDER:ID.")
    ] = None,
    task: Annotated[list[str] | None, typer.Option("--task", help="Only this task; may be repeated.")] = None,
    as_json: JsonOption = False,
    html: Annotated[Path | None, typer.Option("--html", help="Also write it as a page, here.", dir_okay=False)] = None,
) -> None:
    """Compare two experiments of a run, or of two runs on the same items."""
    from regimen.analysis.records import to_json

    comparison, tables = _compared(a, b, run or [], task or [])
    if html:
        from regimen.files import write_text
        from regimen.report.comparison_page import compared_runs, comparison_page

        write_text(html, comparison_page(comparison, compared_runs(comparison, *tables)))
    if as_json:
        typer.echo(json.dumps(to_json(comparison), indent=1))
    else:
        _show(comparison)


def _compared(
    a: str, b: str, folders: list[Path], tasks: list[str]
) -> tuple[ExperimentComparison, tuple[tuple[RunTables, str], tuple[RunTables, str]]]:
    """The comparison, and the run and the id of each side."""
    from regimen.analysis.across_runs import Side, compare_across
    from regimen.analysis.evidence import Evidence
    from regimen.analysis.experiment_comparison import compare_experiments
    from regimen.api import open_run
    from regimen.results.tables import RunTables

    (one, first), (other, second) = _places(a, b, folders)

    def evidence(folder: Path) -> Evidence:
        opened = open_run(folder)
        return Evidence(RunTables(opened.folder, opened.plan))

    if one.resolve() == other.resolve():
        own = evidence(one)
        return compare_experiments(own, first, second, tasks), ((own.tables, first), (own.tables, second))
    sides = (Side(evidence(one), first, str(one)), Side(evidence(other), second, str(other)))
    runs = ((sides[0].evidence.tables, first), (sides[1].evidence.tables, second))
    return compare_across(*sides, tasks), runs


def _places(a: str, b: str, folders: list[Path]) -> tuple[tuple[Path, str], tuple[Path, str]]:
    """The run folder and the id of each side; raises UsageError where a side has no folder, or there are too many."""
    from regimen.errors import UsageError

    if len(folders) in (1, 2):
        return (folders[0], a), (folders[-1], b)
    if folders:
        raise UsageError(f"--run is given {len(folders)} times; two experiments are of one run, or of two")
    places = [
        (Path(folder), name) for folder, mark, name in (side.rpartition(":") for side in (a, b)) if mark and folder
    ]
    if len(places) < 2:
        raise UsageError(f"{a!r} and {b!r} name no run folder; add --run OUT, or write each as FOLDER:ID")
    return places[0], places[1]


def _show(comparison: ExperimentComparison) -> None:
    from rich import box
    from rich.table import Table

    from regimen.cli.terminal import console

    screen = console()
    a, b = comparison.a, comparison.b
    recipe = Table("", a, b, title="Recipes: what differs", title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    for field in comparison.recipe:
        recipe.add_row(field.label, *field.values)
    screen.print(recipe if comparison.recipe else "The recipes are the same.", "")
    title = f"Scores: {a} - {b} (positive: the first is better)"
    scores = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    scores.add_column("task", overflow="fold", min_width=10)
    for name in ("first", "second", "difference", "outcome", "p, Holm"):
        scores.add_column(name, justify="left" if name == "outcome" else "right", overflow="fold")
    for row in comparison.tasks:
        scores.add_row(f"{row.task}\n{row.metric}", _score(row.a), _score(row.b), *_difference(row))
    screen.print(scores)
    screen.print(_notes(comparison))


def _difference(row: TaskDifference) -> tuple[str, str, str]:
    tested = row.comparison
    if tested is None:
        return "", row.statement, ""
    missed = f"\nsees {tested.mde:.3f}" if tested.outcome == "undecided" and tested.mde is not None else ""
    between = f"{tested.low:+.3f} to {tested.high:+.3f}"
    return f"{tested.estimate:+.3f}\n{between}", f"{tested.outcome}{missed}", f"{tested.p_adjusted:.2g}"


def _notes(comparison: ExperimentComparison) -> str:
    """The meaning of the columns, once for all tasks."""
    tested = [row.comparison for row in comparison.tasks if row.comparison]
    if not tested:
        return "No task has been scored for both."
    items = sorted({one.items for one in tested})
    counted = f"{items[0]}" if len(items) == 1 else f"{items[0]} to {items[-1]}"
    explained = (
        " undecided: the interval holds both 0 and differences that matter; an effect of the number below it "
        "would have been seen with a power of 80%."
    )
    tests = ", ".join(sorted({one.test for one in tested}))
    tasks = f"{len(tested)} task{'s' if len(tested) > 1 else ''}"
    return (
        f"Under each difference stands its 95% interval, over {counted} items{_seeds(comparison)}. p: "
        f"{tests}; corrected by Holm over {tasks}."
        f"{explained if any(one.outcome == 'undecided' for one in tested) else ''} `--json` has the tests and margins."
    )


def _seeds(comparison: ExperimentComparison) -> str:
    most = max(runs for row in comparison.tasks if row.comparison for runs in row.runs)
    return " of these runs alone" if most == 1 else f" and the seeds of up to {most} runs"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
