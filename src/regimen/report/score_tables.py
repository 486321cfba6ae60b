"""Scores by experiment and task: the heat map, the leaderboard, all headline scores.

Owns what a cell says: a change with its mark, "skipped", or "not yet". Does not know statistics beyond the rows'.
"""

from __future__ import annotations

import statistics
from typing import Any

from regimen.report.charts import Matrix
from regimen.report.charts.shapes import DIVERGING, colour_at, ink_on
from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, anchor, interval, known, number, points, probability, signed, span
from regimen.results.floors import floors_of
from regimen.study import ZERO_SHOT

ALPHA = 0.05
MARK = "*"
LINES = (("majority", "most frequent class"), ("chance", "chance"), ("tfidf", "TF-IDF, trained"))


def task_columns(reading: Reading) -> list[dict[str, str]]:
    """The main tasks as columns."""
    return [
        {"id": name, "title": task.title, "group": task.group, "headline": task.headline}
        for name, task in reading.tasks.items()
    ]


def heat(reading: Reading) -> list[dict[str, Any]]:
    """A row a trained experiment; a cell a task."""
    largest = _largest(reading)
    return [
        {
            "id": planned.experiment.id,
            "title": planned.experiment.title,
            "phase": planned.experiment.phase,
            "cells": [_cell(reading, planned.experiment.id, task, largest) for task in reading.tasks],
        }
        for planned in reading.trained
    ]


def _largest(reading: Reading) -> float:
    """The change at which the colours end."""
    changes = [reading.change(p.experiment.id, task) for p in reading.trained for task in reading.tasks]
    return max((abs(change) for change in changes if change is not None), default=1.0) or 1.0


def _cell(reading: Reading, experiment: str, task: str, largest: float) -> dict[str, Any]:
    row, change = reading.row(experiment, task), reading.change(experiment, task)
    words, says = NOT_YET, "not yet"
    if reading.skipped(experiment, task):
        words, says = "skipped", f"skipped: {reading.skipped(experiment, task)}"
    elif row is not None and change is None:
        words, says = "no base", f"{row['metric']} {number(row['value'])}; zero-shot is not there yet"
    elif row is not None and change is not None:
        words = points(change)
        low, high = row.get("delta_ci_low"), row.get("delta_ci_high")
        parts = [f"{row['metric']} {number(row['value'])}, zero-shot {number(row['baseline'])}", f"n = {row['n']}"]
        parts += [f"change {interval(low, high)}"] if interval(low, high) else []
        parts += [f"adjusted p {probability(row['p_adjusted'])}"] if known(row.get("p_adjusted")) else []
        says = "; ".join(parts)
    colour = colour_at(DIVERGING, 0.5 + change / largest / 2) if change is not None else ""
    return {
        "task": task,
        "group": reading.tasks[task].group,
        "text": words,
        "says": says,
        "mark": MARK if change is not None and row and is_clear(row) else "",
        "change": change,
        "colour": colour,
        "ink": ink_on(colour) if colour else "",
        "link": anchor(experiment, task) if row is not None else anchor(experiment),
    }


def is_clear(row: dict[str, Any]) -> bool:
    """Whether the change of a cell is clear of zero after the correction over the grid."""
    return known(row.get("p_adjusted")) and row["p_adjusted"] <= ALPHA


def has_tests(reading: Reading) -> bool:
    """Whether any cell carries a p-value, so that its mark (or lack of one) means something."""
    return any(known(row.get("p_adjusted")) for row in reading.rows)


def heat_matrix(reading: Reading, rows: list[dict[str, Any]]) -> Matrix | None:
    """The heat map for a paper."""
    if not rows:
        return None
    return Matrix(
        name="change-by-task",
        title="Change against zero-shot by experiment and task",
        alt=f"Change of each headline metric against zero-shot, {len(rows)} experiments on {len(reading.tasks)} tasks",
        rows=tuple(row["id"] for row in rows),
        columns=tuple(task.title for task in reading.tasks.values()),
        values=tuple(tuple(cell["change"] for cell in row["cells"]) for row in rows),
        texts=tuple(
            tuple("·" if cell["change"] is None else cell["text"] + cell["mark"] for cell in row["cells"])
            for row in rows
        ),
    )


def leaderboard(reading: Reading) -> list[dict[str, Any]]:
    """Experiments by their mean change over the main tasks that have both values, best first."""
    rows = []
    for planned in reading.trained:
        name = planned.experiment.id
        changes = {task: change for task in reading.tasks if (change := reading.change(name, task)) is not None}
        if not changes:
            continue
        best, worst = max(changes, key=lambda task: changes[task]), min(changes, key=lambda task: changes[task])
        clear = [task for task in changes if (row := reading.row(name, task)) and is_clear(row)]
        rows.append(
            {
                "id": name,
                "phase": planned.experiment.phase,
                "mean": statistics.fmean(changes.values()),
                "tasks": len(changes),
                "better": sum(changes[task] > 0 for task in clear),
                "worse": sum(changes[task] < 0 for task in clear),
                "best": (best, reading.tasks[best].title, changes[best]),
                "worst": (worst, reading.tasks[worst].title, changes[worst]),
                "steps": planned.steps,
                "hours": planned.gpu_hours,
            }
        )
    return sorted(rows, key=lambda row: (-row["mean"], row["id"]))


def all_scores(reading: Reading) -> list[dict[str, Any]]:
    """Every experiment's headline scores with their intervals; the base first."""
    base = {
        "id": ZERO_SHOT,
        "phase": "1",
        "steps": 0,
        "cells": [_score(reading, ZERO_SHOT, task) for task in reading.tasks],
    }
    return [
        base,
        *(
            {
                "id": planned.experiment.id,
                "phase": planned.experiment.phase,
                "steps": planned.steps,
                "cells": [_score(reading, planned.experiment.id, task) for task in reading.tasks],
            }
            for planned in reading.trained
        ),
    ]


def _score(reading: Reading, experiment: str, task: str) -> dict[str, Any]:
    row = reading.row(experiment, task)
    words = number(row["value"]) if row else "skipped" if reading.skipped(experiment, task) else NOT_YET
    return {
        "task": task,
        "group": reading.tasks[task].group,
        "text": words,
        "interval": span(row["ci_low"], row["ci_high"]) if row else "",
        "delta": signed(row["delta"]) if row and known(row["delta"]) else "",
        "missing": row is None,
        "is_clear": bool(row) and is_clear(row),
        "link": anchor(experiment, task) if row is not None else anchor(experiment),
    }


def lines(reading: Reading) -> list[dict[str, Any]]:
    """What stands beside each task's scores: a row a line, a cell a task, "" where undefined.

    First the scores that need no language model, then the base's own with solved examples before each question.
    """
    found = {task: floors_of(reading.plan, reading.tables.outcomes, task) for task in reading.tasks}
    rows = []
    for name, words in LINES:
        cells = []
        for task, shape in reading.tasks.items():
            floors = found[task]
            value = getattr(floors, name).get(shape.headline) if floors else None
            cells.append({"group": shape.group, "text": number(value) if known(value) else ""})
        if any(cell["text"] for cell in cells):
            rows.append({"words": words, "cells": cells})
    return rows + _with_examples(reading)


def _with_examples(reading: Reading) -> list[dict[str, Any]]:
    """A row for each number of examples that the base was given."""
    found: dict[str, dict[str, Any]] = {}
    for row in reading.rows:
        shots = row["experiment"].partition(":")[2]
        if shots and row["primary"]:
            found.setdefault(shots, {})[row["task"]] = row["value"]
    return [
        {
            "words": f"the base, {shots}",
            "cells": [
                {"group": shape.group, "text": number(values[task]) if known(values.get(task)) else ""}
                for task, shape in reading.tasks.items()
            ],
        }
        for shots, values in found.items()
    ]
