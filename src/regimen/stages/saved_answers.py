"""Generated answers of an earlier evaluation that differs only in what its metrics read.

Owns the search for it: a metric that is added to a task of a finished run, or a function that was changed, then needs
no new generation. Does not know metrics or models.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from regimen.data.items import Item
from regimen.errors import RunFolderError
from regimen.evaluation.item_results import ItemResult
from regimen.evaluation.open_answers import SavedAnswer, taken_up
from regimen.evaluation.readers import ANSWER_BITS
from regimen.plan import EvaluateSpec
from regimen.plan.fingerprint import fingerprint
from regimen.results import layout, read_outcome
from regimen.results.stage_folder import check_files
from regimen.stages.context import Context

# fields of a task that only decide how answers are read
_READING = ("metrics", "extract", "positive", "code", "verdicts")
_COLUMNS = list(SavedAnswer.__dataclass_fields__)


def saved_answers(spec: EvaluateSpec, items: Sequence[Item], context: Context) -> tuple[str, list[ItemResult]] | None:
    """(the folder's name, a row for each item that no metric has read yet) of a done evaluation of the same end point.

    None where there is none that is whole and was made from the very files and results that this one begins with, or
    none that measured the likelihoods which the task's metrics need.
    """
    stages, inputs = context.setup.stages, context.began_with.get(spec.fingerprint)
    if spec.task.scoring != "generation" or not inputs:
        return None
    wanted = _asked(json.loads(json.dumps(spec.identity)))
    for folder in sorted(stages.glob(f"evaluate-{glob.escape(spec.label)}-*")):
        if folder.name == spec.folder or not (folder / layout.MARKER).is_file():
            continue
        found = _identity(folder)
        if found is None or fingerprint(found) != layout.hash_of(folder.name) or _asked(found) != wanted:
            continue
        if ANSWER_BITS in spec.task.metrics and ANSWER_BITS not in found["task"]["metrics"]:
            continue
        if not _stands(folder, inputs, context):
            continue
        rows = taken_up(items, _read(folder / layout.ITEM_ROWS))
        if rows is not None:
            return folder.name, rows
    return None


def _asked(identity: Any) -> object:
    """The identity without what decides only how answers are read."""
    task = {name: value for name, value in identity["task"].items() if name not in _READING}
    return {**identity, "task": task}


def _stands(folder: Path, inputs: Mapping[str, str], context: Context) -> bool:
    """True if an evaluation is whole and was made with today's base, tokenizer, items and adapters."""
    try:
        outcome = read_outcome(folder)
        check_files(folder, outcome, context.digests)
    except RunFolderError:
        return False
    return outcome.status == "done" and outcome.inputs == inputs


def _identity(folder: Path) -> Any:
    try:
        return json.loads((folder / layout.SPEC).read_text(encoding="utf-8"))["identity"]
    except (OSError, ValueError, KeyError):
        return None


def _read(path: Path) -> list[SavedAnswer]:
    """The saved answers; none where the file cannot be read, so that they are generated anew."""
    try:
        rows = pq.read_table(path, columns=_COLUMNS).to_pylist()
    except (OSError, KeyError, pa.ArrowException):
        return []
    return [SavedAnswer(**row) for row in rows if row["text"] is not None]
