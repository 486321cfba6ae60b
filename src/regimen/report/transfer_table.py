"""The transfer matrix: what each single-source training did to every task.

Owns its layout and which cells are marked. Does not know how gains are measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regimen.report.charts import Matrix
from regimen.report.charts.shapes import DIVERGING, colour_at, ink_on
from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, anchor, count, evidence_size, interval, known, number, points, signed, stem


def transfer(reading: Reading) -> dict[str, Any] | None:
    """{"tasks", "rows"}: a row what was trained, a cell the gain against zero-shot; None while there is none."""
    entries = [_entry(entry) for entry in reading.found_list("transfer")]
    entries = [entry for entry in entries if entry["name"] and entry["task"]]
    if not entries:
        return None
    about = reading.plan.study.tasks
    tasks = list(dict.fromkeys(entry["task"] for entry in entries))
    largest = max((abs(entry["gain"]) for entry in entries if known(entry["gain"])), default=1.0) or 1.0
    by_cell = {(entry["name"], entry["task"]): entry for entry in entries}
    rows = []
    for name in dict.fromkeys(entry["name"] for entry in entries):
        first = next(entry for entry in entries if entry["name"] == name)
        planned = reading.planned.get(stem(name))
        cells = [_cell(reading, by_cell.get((name, task)), name, task, largest) for task in tasks]
        phase = planned.experiment.phase if planned else ""
        rows.append({"name": name, "words": first["words"], "phase": phase, "cells": cells})
    titles = [
        {"title": about[task].title if task in about else task, "group": about[task].group if task in about else ""}
        for task in tasks
    ]
    return {"tasks": titles, "rows": rows}


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One entry under plain names."""
    name = str(entry.get("experiment") or entry.get("trained") or "")
    trained = entry.get("trained_on")
    words = f"{entry.get('kind', '')} on {trained}, {count(entry.get('steps'))} steps" if trained else ""
    return {
        "name": name,
        "words": words,
        "task": str(entry.get("tested_on") or entry.get("task") or ""),
        "gain": entry.get("delta", entry.get("gain")),
        "low": entry.get("low"),
        "high": entry.get("high"),
        "clear": bool(entry.get("clear")),
        "own": bool(entry.get("own")),
        "rate": entry.get("rate"),
        "rate_low": entry.get("rate_low"),
        "rate_high": entry.get("rate_high"),
        "items": evidence_size(dict(entry))[0],
    }


def _cell(reading: Reading, entry: dict[str, Any] | None, name: str, task: str, largest: float) -> dict[str, Any]:
    linked = (name, task) in {(row["experiment"], row["task"]) for row in reading.rows if row["task"] == task}
    link = "" if stem(name) not in reading.anchors else anchor(name, task) if linked else anchor(name)
    if entry is None or not known(entry["gain"]):
        return {"text": NOT_YET, "says": NOT_YET, "colour": "", "ink": "", "mark": "", "link": link, "own": False}
    colour = colour_at(DIVERGING, 0.5 + entry["gain"] / largest / 2)
    says = f"{signed(entry['gain'])} ({interval(entry['low'], entry['high'])})"
    says += f", n = {count(entry['items'])}" if entry["items"] else ""
    if known(entry["rate"]):
        says += f"; {number(entry['rate'], 2)} of what direct fine-tuning gains"
        says += f" ({number(entry['rate_low'], 2)} to {number(entry['rate_high'], 2)})"
    return {
        "text": points(entry["gain"]),
        "says": says,
        "colour": colour,
        "ink": ink_on(colour),
        "mark": "*" if entry["clear"] else "",
        "link": link,
        "own": entry["own"],
        "value": entry["gain"],
    }


def transfer_matrix(found: dict[str, Any] | None) -> Matrix | None:
    """The matrix for a paper."""
    if found is None:
        return None
    return Matrix(
        name="transfer",
        title="Transfer: gain against zero-shot by what was trained",
        alt=f"Gain of {len(found['rows'])} single-source trainings on {len(found['tasks'])} tasks against zero-shot",
        rows=tuple(row["name"] for row in found["rows"]),
        columns=tuple(task["title"] for task in found["tasks"]),
        values=tuple(tuple(cell.get("value") for cell in row["cells"]) for row in found["rows"]),
        texts=tuple(tuple(cell["text"] + cell["mark"] for cell in row["cells"]) for row in found["rows"]),
    )
