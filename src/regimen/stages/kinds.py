"""The table of stage kinds.

Owns the dispatch of a job to its kind's function, leaving out what is done already. Does not know how jobs are
ordered or where they come from.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from regimen.results import StageFolder
from regimen.stages.choose import run_choose
from regimen.stages.context import Context
from regimen.stages.evaluate import run_evaluate
from regimen.stages.given_adapter import run_adapter
from regimen.stages.messages import Job
from regimen.stages.prepare import run_items, run_prepare
from regimen.stages.train import run_train

KINDS: dict[str, Callable[[Any, list[StageFolder], Context], None]] = {
    "prepare": run_prepare,
    "items": run_items,
    "adapter": run_adapter,
    "train": run_train,
    "choose": run_choose,
    "evaluate": run_evaluate,
}


def run_job(job: Job, context: Context) -> None:
    """Carries out the unfinished stages of a job; raises the errors of its kind's function."""
    context.inputs = job.inputs
    stages = [(stage, StageFolder(context.setup.stages, stage)) for stage in job.stages]
    left = [(stage, folder) for stage, folder in stages if not folder.done]
    for stage, folder in left:
        context.log(folder.open(), "started", cohort=len(left), worker=os.getpid())
        context.begin(stage)
    if left:
        KINDS[left[0][0].kind]([stage for stage, _ in left], [folder for _, folder in left], context)
