"""Chains: the effect of each stage of a sequence on every task.

Owns which experiments follow each other and the table of stage effects. Does not know statistics beyond the rows'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.transfer import Chain
from regimen.report.run_reading import Reading
from regimen.report.tinted_cells import TintedCell, largest_of, tinted
from regimen.report.words import anchor, number, points, signed
from regimen.results import better_sign
from regimen.study import EndPoint


@dataclass(frozen=True)
class ChainRow:
    """A stage: the end point after it, its training in words, and a cell for each task."""

    end: EndPoint
    trained: str
    cells: Sequence[TintedCell]


@dataclass(frozen=True)
class ChainTable:
    """A chain that ends in the experiment `id`, from zero-shot on; `measures` holds GEM's as (words, value)."""

    id: str
    title: str
    phase: str
    measures: Sequence[tuple[str, str]]
    rows: Sequence[ChainRow]


def chains(reading: Reading) -> list[ChainTable]:
    """A table a chain; a cell holds the score and its change against the row above."""
    return [_chain(reading, path) for path in paths(reading)]


def paths(reading: Reading) -> list[list[EndPoint]]:
    """The end points of every chain in order: experiments that continue one another, with the ends of their legs."""
    continued = {planned.experiment.start_from for planned in reading.trained}
    all_paths = []
    for planned in reading.trained:
        experiment = planned.experiment
        if experiment.id in continued or experiment.single_leg is not None:
            continue
        path: list[EndPoint] = []
        name: str | None = experiment.id
        while name is not None and name in reading.planned:
            stage = reading.planned[name].experiment
            path = [*(stage.end_of_leg(number) for number in range(1, len(stage.legs) + 1)), *path]
            name = stage.start_from
        all_paths.append([EndPoint.base(), *path])
    return all_paths


def _chain(reading: Reading, path: list[EndPoint]) -> ChainTable:
    values = {(end, task): _value(reading, end, task) for end in path for task in reading.tasks}
    steps = {
        (end, task): _step(reading, values, path[: index + 1], task)
        for index, end in enumerate(path)
        for task in reading.tasks
    }
    largest = largest_of(steps.values())
    rows = []
    for end in path:
        cells = [_cell(reading, end, task, values[end, task], steps[end, task], largest) for task in reading.tasks]
        rows.append(ChainRow(end, _trained(reading, end), cells))
    last = reading.planned[path[-1].experiment].experiment
    chain = next((one for one in reading.findings.chains if one.chain == last.id), None)
    return ChainTable(last.id, last.title.split(":")[0], last.phase, _measures(chain), rows)


def _cell(
    reading: Reading, end: EndPoint, task: str, value: float | None, step: float | None, largest: float
) -> TintedCell:
    """Its text is the score, its mark the change."""
    return tinted(
        step,
        largest,
        number(value),
        mark=points(step) if step is not None else "",
        link=anchor(end, task if value is not None and reading.row(end.experiment, task) is not None else ""),
        group=reading.tasks[task].group,
    )


def _value(reading: Reading, end: EndPoint, task: str) -> float | None:
    headline = reading.tasks[task].headline
    if end.leg is not None:  # earlier legs are evaluated on their own tasks, and stand in no row of results.csv
        cell = reading.tables.cells.get((end.experiment, end.on(task)))
        return cell.metrics.get(headline) if cell else None
    row = reading.row(end.experiment, task)
    return row.value if row else None


def _step(
    reading: Reading, values: dict[tuple[EndPoint, str], float | None], path: list[EndPoint], task: str
) -> float | None:
    """The change against the nearest end point before that has a score on the task."""
    now = values[path[-1], task]
    before = next((v for end in reversed(path[:-1]) if (v := values[end, task]) is not None), None)
    return None if now is None or before is None else (now - before) * better_sign(reading.tasks[task].headline)


def _trained(reading: Reading, end: EndPoint) -> str:
    """The training of the stage that ends here."""
    if end.is_base:
        return "the base as it is"
    legs = reading.planned[end.experiment].experiment.legs
    chosen = legs[end.leg - 1] if end.leg else legs[-1]
    return f"{chosen.kind} on {', '.join(chosen.mixture)}, {chosen.steps:,} steps"


def _measures(chain: Chain | None) -> list[tuple[str, str]]:
    """GEM's measures of the chain, where its stages have a task each and the scores are there."""
    if chain is None:
        return []
    values = {"backward transfer": chain.backward_transfer, "forward transfer": chain.forward_transfer}
    values |= {f"forgetting of {task}": value for task, value in (chain.forgetting or {}).items()}
    return [(words, signed(value)) for words, value in values.items() if value is not None]
