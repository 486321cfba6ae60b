"""Chains: the effect of each stage of a sequence on every task.

Owns which experiments follow each other and the table of stage effects. Does not know statistics beyond the rows'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from regimen.analysis.transfer import Chain
from regimen.report.run_reading import Reading
from regimen.report.tints import largest_of, tint
from regimen.report.words import number, points, signed
from regimen.results import better_sign
from regimen.study import EndPoint


@dataclass(frozen=True)
class ChainCell:
    """The score after a stage, its change against the nearest stage before that has one, and the change's colour."""

    text: str
    change: str
    tint: str


@dataclass(frozen=True)
class ChainRow:
    """A stage: the end point after it, its address in the page, its training in words, and a cell for each task."""

    end: EndPoint
    link: str
    trained: str
    cells: Sequence[ChainCell]


@dataclass(frozen=True)
class ChainTable:
    """A chain that ends in the experiment `id`, from zero-shot on; `measures` holds GEM's as (words, value)."""

    id: str
    title: str
    measures: Sequence[tuple[str, str]]
    rows: Sequence[ChainRow]


def chains(reading: Reading) -> list[ChainTable]:
    """A table a chain; a cell holds the score and its change against the row above. One scale of colours for all."""
    measured = [(path, *_measured(reading, path)) for path in paths(reading)]
    largest = largest_of(step for _, _, steps in measured for step in steps.values())
    return [_chain(reading, path, values, steps, largest) for path, values, steps in measured]


def paths(reading: Reading) -> list[list[EndPoint]]:
    """The end points of every chain in order: experiments that continue one another, with the ends of their legs."""
    continued = {planned.experiment.start_from for planned in reading.trained}
    all_paths = []
    for planned in reading.trained:
        experiment = planned.experiment
        if experiment.id in continued or (experiment.start_from is None and len(experiment.legs) == 1):
            continue
        path: list[EndPoint] = []
        name: str | None = experiment.id
        while name is not None and name in reading.planned:
            stage = reading.planned[name].experiment
            path = [*(stage.end_of_leg(number) for number in range(1, len(stage.legs) + 1)), *path]
            name = stage.start_from
        all_paths.append([EndPoint.base(), *path])
    return all_paths


NOT_SCORED = "\u2013"
Scores = dict[tuple[EndPoint, str], float | None]  # by end point and task


def _measured(reading: Reading, path: list[EndPoint]) -> tuple[Scores, Scores]:
    """The scores along a chain, and their changes."""
    values = {(end, task): _value(reading, end, task) for end in path for task in reading.tasks}
    steps = {
        (end, task): _step(reading, values, path[: index + 1], task)
        for index, end in enumerate(path)
        for task in reading.tasks
    }
    return values, steps


def _chain(reading: Reading, path: list[EndPoint], values: Scores, steps: Scores, largest: float) -> ChainTable:
    rows = []
    for end in path:
        cells = [
            _cell(values[end, task], steps[end, task], largest, _asked(reading, end, task)) for task in reading.tasks
        ]
        rows.append(ChainRow(end, reading.link(end.experiment), _trained(reading, end), cells))
    last = reading.planned[path[-1].experiment].experiment
    chain = next((one for one in reading.findings.chains if one.chain == last.id), None)
    return ChainTable(last.id, last.title.split(":")[0], _measures(chain), rows)


def _cell(value: float | None, step: float | None, largest: float, asked: bool) -> ChainCell:
    text = NOT_SCORED if value is None and not asked else number(value)
    return ChainCell(text, points(step) if step is not None else "", tint(step, largest))


def _asked(reading: Reading, end: EndPoint, task: str) -> bool:
    """Whether the plan scores an end point on a task; earlier legs are scored on few."""
    if end.leg is None:
        return True
    return any(one.key == end.on(task) for one in reading.planned[end.experiment].all_evaluations)


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
