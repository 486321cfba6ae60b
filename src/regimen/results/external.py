"""The answers of other systems in a run folder: rows beside its models, scored on the same items.

Owns OUT/external/NAME/TASK/items.parquet: the rows that an evaluation writes, with what they are of in the file's own
metadata, so that one file holds all and is written whole. Does not know how answers are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regimen.errors import RunFolderError
from regimen.files import write_atomically
from regimen.plan import EvaluateSpec, Plan
from regimen.results import layout
from regimen.study.values import Frozen, Name

EXTERNAL = "external"  # the phase of these rows, and what their ids begin with
MARK = f"{EXTERNAL}~"
_KEY = b"regimen"


class ExternalRow(Frozen):
    """The scores of another system on a task.

    `items` is the stage whose items were answered, `count` their number, `metrics` those that answers alone give (None:
    no value), `unread` the answers that the headline could not read, `unanswered` those that were not given, `cut`
    those that went on beyond the task's stop. `file` and `digest` (SHA-256) are of the answers as they came.
    """

    name: Name
    task: Name
    items: str
    count: int
    metrics: dict[str, float | None]
    unread: int = 0
    unanswered: int = 0
    cut: int = 0
    file: str = ""
    digest: str = ""

    @property
    def defined(self) -> dict[str, float]:
        """The metrics that have a value."""
        return {name: value for name, value in self.metrics.items() if value is not None}

    @property
    def id(self) -> str:
        """The id of its row among experiments: "external~gpt-4"."""
        return MARK + self.name


@dataclass(frozen=True)
class External:
    """The rows of a run folder that belong to a plan's items, each with its folder; and why others were left out."""

    rows: tuple[tuple[ExternalRow, Path], ...]
    faults: tuple[str, ...]


def is_external(experiment: str) -> bool:
    """True for the id of another system's row."""
    return experiment.startswith(MARK)


def items_of(plan: Plan) -> dict[str, str]:
    """Task -> the items stage that models answer without solved examples."""
    stages = (stage for stage in plan.stages.values() if isinstance(stage, EvaluateSpec) and not stage.shots)
    return {stage.task_name: stage.items for stage in stages}


def write_external(out: Path, row: ExternalRow, columns: Mapping[str, Sequence[Any]]) -> Path:
    """Writes the row's file, in the place of an earlier one of that name and task; returns its folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from regimen.results.item_rows import ITEM_SCHEMA

    folder = out / layout.EXTERNAL / row.name / row.task
    folder.mkdir(parents=True, exist_ok=True)
    schema = ITEM_SCHEMA.with_metadata({_KEY: row.model_dump_json()})
    table = pa.table({name: columns[name] for name in ITEM_SCHEMA.names}, schema=schema)
    write_atomically(folder / layout.ITEM_ROWS, lambda scratch: pq.write_table(table, scratch))
    return folder


def read_external(out: Path, plan: Plan) -> External:
    """The rows of other systems in a run folder; those of other items than the plan's, or damaged, are left out."""
    items = items_of(plan)
    rows: list[tuple[ExternalRow, Path]] = []
    faults: list[str] = []
    for path in sorted((out / layout.EXTERNAL).glob(f"*/*/{layout.ITEM_ROWS}")):
        try:
            row = _read(path)
        except RunFolderError as fault:
            faults.append(str(fault))
            continue
        if row.task not in items:
            continue  # not of this track or these tasks
        if row.items != items[row.task]:
            faults.append(f"{row.id} answered other items of {row.task} than this run's; score it again")
            continue
        rows.append((row, path.parent))
    return External(tuple(rows), tuple(faults))


def _read(path: Path) -> ExternalRow:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        about = (pq.read_schema(path).metadata or {})[_KEY]
        return ExternalRow.model_validate(json.loads(about))
    except (OSError, KeyError, ValueError, ValidationError, pa.ArrowException):
        raise RunFolderError(f"{path} is damaged; score the answers again with `regimen score`") from None
