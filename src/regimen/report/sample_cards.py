"""Sample outputs: of each evaluation an item that went right and one that went wrong.

Owns which items are shown and how much of them. Reads items.parquet and the prompts beside it; what cannot be read is
said and not shown. Does not know metrics.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from regimen.plan import EvaluateSpec
from regimen.report.run_reading import Reading
from regimen.results import layout
from regimen.results.tables import Cell

LONGEST = 240
_COLUMNS = ["item_id", "target", "prediction", "text", "score", "detail"]


@dataclass(frozen=True)
class Sample:
    """An item of a task and the model's answer; `verdict` is "right", "wrong", or the score where it is graded."""

    task: str
    verdict: str
    kind: str
    prompt: str
    target: str
    output: str
    detail: str


def samples(reading: Reading, experiment: str, task: str) -> list[Sample]:
    """At most two items, best first."""
    cell = reading.tables.cells.get((experiment, task))
    stage = _stage(reading, experiment, task)
    if cell is None or cell.skipped or stage is None:
        return []
    rows = _rows(cell)
    if not rows:
        return []
    prompts = _prompts(reading.tables.folder.folder(reading.plan.stages[stage.items]).path / layout.ITEMS)
    best, worst = max(rows, key=lambda row: row["score"]), min(rows, key=lambda row: row["score"])
    graded = {row["score"] for row in rows} - {0.0, 1.0}
    chosen = [best] if best["score"] == worst["score"] else [best, worst]
    title = reading.plan.study.tasks[task].title
    return [_sample(title, row, prompts.get(str(row["item_id"]), ""), bool(graded)) for row in chosen]


def _stage(reading: Reading, experiment: str, task: str) -> EvaluateSpec | None:
    planned = reading.planned.get(experiment)
    name = {one.key: one.stage for one in planned.all_evaluations}.get(task) if planned else None
    stage = reading.plan.stages.get(name) if name else None
    return stage if isinstance(stage, EvaluateSpec) and stage.task.scoring != "text" else None


def _rows(cell: Cell) -> list[dict[str, Any]]:
    """The item rows that have a score, in the order of the items."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(cell.folder / layout.ITEM_ROWS, columns=_COLUMNS).to_pylist()
    except (OSError, pa.ArrowException):
        return []
    return [row for row in rows if row["score"] is not None and row["score"] == row["score"]]


@lru_cache(maxsize=64)
def _prompts(path: Path) -> dict[str, str]:
    """Item -> its prompt; empty where the file cannot be read."""
    try:
        with path.open(encoding="utf-8") as lines:
            return {str(item["id"]): str(item["prompt"]) for item in map(json.loads, lines)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _sample(task: str, row: dict[str, Any], prompt: str, graded: bool) -> Sample:
    output = row["text"] if row["text"] is not None else row["prediction"]
    right = "right" if row["score"] == 1.0 else "wrong"
    return Sample(
        task=task,
        verdict=f"score {row['score']:.2f}" if graded else right,
        kind="right" if row["score"] > 0.5 else "wrong",
        prompt=cut(prompt, end=True),
        target=cut(row["target"]),
        output=cut(output) if output is not None else "(no readable answer)",
        detail=cut(row["detail"] or ""),
    )


def cut(text: Any, end: bool = False) -> str:
    """The first (or last) letters of a text, with a mark where it was cut."""
    words = str(text)
    if len(words) <= LONGEST:
        return words
    return "… " + words[-LONGEST:] if end else words[:LONGEST] + " …"
