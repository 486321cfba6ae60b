"""The score that a judge gave an answer, looked up among the verdicts that a study holds.

An answer without a verdict is a counted fault, never a zero. Does not know files of verdicts (`study.verdict_files`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from regimen.evaluation.readers import Answer, Reader, Reading
from regimen.study.metrics import OWN, VERDICTS
from regimen.study.tasks import Task
from regimen.study.verdict_files import verdict_key

FAULT = "the metric "  # begins what is noted of an item that a metric has no value for


def verdict_readers(task: Task) -> dict[str, Reader]:
    """The reader of each metric of the task that is written `verdicts:NAME`."""
    files = {file.name: file.scores for file in task.verdicts}
    named = {name: match for name in task.metrics if (match := OWN.fullmatch(name)) and match["module"] == VERDICTS}
    return {name: _reader(name, files[match["function"]]) for name, match in named.items()}


def _reader(name: str, scores: Mapping[str, float]) -> Reader:
    def read(answer: Answer) -> Reading:
        score = scores.get(verdict_key(answer.item, answer.whole))
        fault = f"{FAULT}{name} has no verdict on this answer" if score is None else ""
        return Reading(math.nan if score is None else score, answer.extracted.strip(), fault=fault)

    return read
