"""The table of stage kinds.

Owns the dispatch of a job to its kind's function, leaving out what is done already. Does not know how jobs are
ordered or where they come from.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from regimen.plan import parse_spec
from regimen.results import StageFolder
from regimen.stages.context import Context
from regimen.stages.evaluate import run_evaluate
from regimen.stages.prepare import run_items, run_prepare
from regimen.stages.train import run_train

KINDS: dict[str, Callable[[Any, list[StageFolder], Context], None]] = {
    "prepare": run_prepare,
    "items": run_items,
    "train": run_train,
    "evaluate": run_evaluate,
}


def run_job(job: dict[str, Any], context: Context) -> None:
    """Carries out a job: {"kind", "stages": [spec], "folders": {fingerprint: folder name of an input}}."""
    context.folders = job["folders"]
    specs = [parse_spec(value) for value in job["stages"]]
    folders = [StageFolder(Path(context.place.stages), spec) for spec in specs]
    left = [(spec, folder) for spec, folder in zip(specs, folders, strict=True) if not folder.done]
    for _, folder in left:
        context.log(folder.open(), "started", cohort=len(left), worker=os.getpid())
    if left:
        KINDS[job["kind"]]([spec for spec, _ in left], [folder for _, folder in left], context)
