"""Chains: what each stage of a sequence did to every task.

Owns which experiments follow each other and the table of stage effects. Does not know statistics beyond the rows'.
"""

from __future__ import annotations

from typing import Any

from regimen.report.charts.shapes import DIVERGING, colour_at, ink_on
from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, anchor, known, number, points, signed, stem
from regimen.results import better_sign
from regimen.study import ZERO_SHOT


def chains(reading: Reading) -> list[dict[str, Any]]:
    """A table a chain: a row a stage, from zero-shot on; a cell the score and its change against the row above."""
    return [_chain(reading, path) for path in paths(reading)]


def paths(reading: Reading) -> list[list[str]]:
    """The end points of every chain in order: experiments that continue one another, inner legs as "id@n"."""
    continued = {planned.experiment.start_from for planned in reading.trained}
    found = []
    for planned in reading.trained:
        experiment = planned.experiment
        if experiment.id in continued or (experiment.start_from is None and len(experiment.legs) < 2):
            continue
        path: list[str] = []
        name: str | None = experiment.id
        while name is not None and name in reading.planned:
            legs = len(reading.planned[name].experiment.legs)
            path = [*(f"{name}@{leg}" for leg in range(1, legs)), name, *path]
            name = reading.planned[name].experiment.start_from
        found.append([ZERO_SHOT, *path])
    return found


def _chain(reading: Reading, path: list[str]) -> dict[str, Any]:
    values = {(end, task): _value(reading, end, task) for end in path for task in reading.tasks}
    steps = {
        (end, task): _step(reading, values, path[: index + 1], task)
        for index, end in enumerate(path)
        for task in reading.tasks
    }
    largest = max((abs(step) for step in steps.values() if step is not None), default=1.0) or 1.0
    last = reading.planned[path[-1]].experiment
    rows = []
    for end in path:
        cells = []
        for task in reading.tasks:
            step = steps[end, task]
            colour = colour_at(DIVERGING, 0.5 + step / largest / 2) if step is not None else ""
            cells.append(
                {
                    "group": reading.tasks[task].group,
                    "value": number(values[end, task]) if values[end, task] is not None else NOT_YET,
                    "step": points(step) if step is not None else "",
                    "colour": colour,
                    "ink": ink_on(colour) if colour else "",
                    "link": anchor(end, task if reading.row(stem(end), task) is not None else ""),
                }
            )
        rows.append({"end": end, "trained": _trained(reading, end), "cells": cells})
    measures = next((entry for entry in reading.found_list("chains") if entry.get("chain") == last.id), {})
    return {
        "measures": _measures(measures),
        "id": last.id,
        "title": last.title.split(":")[0],
        "phase": last.phase,
        "rows": rows,
    }


def _value(reading: Reading, end: str, task: str) -> float | None:
    headline = reading.tasks[task].headline
    if "@" in end:  # inner legs are evaluated on what they trained, and stand in no row of results.csv
        name, _, leg = end.partition("@")
        cell = reading.tables.cells.get((name, f"{task}@{leg}"))
        value = cell.metrics.get(headline) if cell else None
    else:
        row = reading.row(end, task)
        value = row["value"] if row else None
    return value if known(value) else None


def _step(reading: Reading, values: dict[tuple[str, str], float | None], path: list[str], task: str) -> float | None:
    """The change against the nearest end point before that has a score on the task."""
    now = values[path[-1], task]
    before = next((v for end in reversed(path[:-1]) if (v := values[end, task]) is not None), None)
    return None if now is None or before is None else (now - before) * better_sign(reading.tasks[task].headline)


def _trained(reading: Reading, end: str) -> str:
    """What the stage that ends here trained on."""
    if end == ZERO_SHOT:
        return "the base as it is"
    name, _, leg = end.partition("@")
    legs = reading.planned[name].experiment.legs
    chosen = legs[int(leg) - 1] if leg else legs[-1]
    return f"{chosen.kind} on {', '.join(chosen.mixture)}, {chosen.steps:,} steps"


def _measures(found: dict[str, Any]) -> list[tuple[str, str]]:
    """GEM's measures of the chain, where its stages have a task each and the scores are there."""
    names = (("backward transfer", "backward_transfer"), ("forward transfer", "forward_transfer"))
    told = [(words, signed(found[key])) for words, key in names if known(found.get(key))]
    lost = found.get("forgetting")
    if isinstance(lost, dict):
        told += [(f"forgetting of {task}", signed(value)) for task, value in lost.items() if known(value)]
    return told
