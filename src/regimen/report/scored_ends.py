"""The evaluations whose answers a page shows, and the reading of their item rows and prompts.

Owns the names of end points in a page's addresses. Does not know how answers are put together, nor pages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regimen.plan import EvaluateSpec
from regimen.report.run_reading import RunReading
from regimen.results import layout
from regimen.results.external import is_external
from regimen.results.tables import Cell
from regimen.study import ZERO_SHOT

COLUMNS = ("item_id", "target", "prediction", "text", "score", "detail", "logprobs", "nats", "truncated", "twin")
Columns = dict[str, list[object]]


@dataclass(frozen=True)
class Scored:
    """An end point that was scored on a task: its cell in a run, its name in addresses, its title."""

    reading: RunReading
    cell: Cell
    id: str
    title: str

    def rows(self) -> Columns | None:
        """The columns of its items.parquet; None where it cannot be read (the page's notes name damaged stages)."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(self.cell.folder / layout.ITEM_ROWS) as file:
                there = [name for name in COLUMNS if name in file.schema_arrow.names]
                columns = file.read(columns=there, use_threads=False).to_pydict()
        except (OSError, pa.ArrowException):
            return None
        rows = len(columns.get("item_id", ()))
        return {name: columns.get(name) or [None] * rows for name in COLUMNS} if rows else None

    def evaluation(self) -> EvaluateSpec | None:
        """Its stage in the plan."""
        planned = self.reading.planned.get(self.cell.experiment)
        plan = self.reading.plan
        references = {ZERO_SHOT: plan.reference, **plan.base_references}
        names = {one.key: one.stage for one in planned.all_evaluations} if planned else {}
        names = names or references.get(self.cell.experiment, {})
        stage = plan.stages.get(names.get(self.cell.key, ""))
        return stage if isinstance(stage, EvaluateSpec) else None


def scored_ends(reading: RunReading) -> list[Scored]:
    """Every evaluation of a run that has scores."""
    cells = [cell for cell in reading.tables.cells.values() if cell.skipped is None]
    return [Scored(reading, cell, end_name(reading, cell), title_of(reading, cell)) for cell in cells]


def end_name(reading: RunReading, cell: Cell) -> str:
    """The end point's name in addresses: as in study files, but the base's is the same on every task."""
    planned = reading.planned.get(cell.experiment)
    if is_external(cell.experiment) or (planned is not None and planned.experiment.is_given):
        return cell.experiment
    if (planned is None or not planned.experiment.legs) and reading.tables.base_of(
        cell.experiment
    ) == reading.plan.study.base:
        return f"{cell.end.shots}-shot" if cell.end.shots else ZERO_SHOT
    return str(cell.end)


def title_of(reading: RunReading, cell: Cell) -> str:
    """The end point as readers see it: an experiment's title, with the leg; or the base's number of examples."""
    if is_external(cell.experiment):
        return f"{cell.experiment}, another system"
    planned = reading.planned.get(cell.experiment)
    if planned is not None and planned.experiment.is_given:
        return planned.experiment.title
    if planned is None or not planned.experiment.legs:
        name = f"{cell.end.shots}-shot" if cell.end.shots else "Zero-shot"
        several = len(reading.plan.study.bases) > 1
        return f"{name}, {reading.tables.base_of(cell.experiment).id}" if several else name
    return f"{planned.experiment.title}, after leg {cell.end.leg}" if cell.end.leg else planned.experiment.title


def prompts(ends: Sequence[Scored]) -> dict[str, Mapping[str, object]]:
    """Item -> its line of items.jsonl, of the first end point whose items can be read."""
    for end in sorted(ends, key=lambda one: (one.cell.experiment != ZERO_SHOT, one.cell.end.shots)):
        stage = end.evaluation()
        if stage is None:
            continue
        path = end.reading.tables.folder.folder(end.reading.plan.stages[stage.items]).path / layout.ITEMS
        try:
            with path.open(encoding="utf-8") as lines:
                return {str(item["id"]): item for item in map(json.loads, lines)}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}
