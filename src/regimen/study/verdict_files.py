"""Verdicts that a judge gave on saved answers: files beside the study, `verdicts:NAME` among a task's metrics.

Owns the file's format and the fault of a line. NAME.jsonl holds an object a line: `item` (the item's id), `answer`
(what the model wrote) and `score` (a finite number, true or false); other keys are passed over. A study keeps of each
verdict the digest of item and answer, so that another file is noticed and makes new scores. Does not know the
judge, or items.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from regimen.errors import StudyError
from regimen.study.metrics import OWN, VERDICTS
from regimen.study.positions import Document

LARGEST = 1 << 28  # bytes of one file
_DIGITS = 16  # hex digits kept of a digest: two of a million verdicts share theirs with p < 3e-8


def put_in_verdicts(document: Document, path: Path) -> None:
    """Puts the verdicts of the files that a task's metrics name into the task, as `verdicts`.

    Raises StudyError naming the task, the file and the line of what is no verdict.
    """
    tasks: Any = document.value.get("tasks") if isinstance(document.value, dict) else None
    faults = []
    for name, task in (tasks if isinstance(tasks, dict) else {}).items():
        names = _files_of(task)
        if not names:
            continue
        kept = task.get("verdicts")
        held = {str(file.get("name")) for file in kept if isinstance(file, dict)} if isinstance(kept, list) else set()
        try:
            if not held.issuperset(names):
                task["verdicts"] = [{"name": file, "text": _read(path.parent / f"{file}.jsonl")} for file in names]
        except ValueError as fault:
            faults.append(f"{document.position(('tasks', name, 'metrics'))}: {fault}")
    if faults:
        raise StudyError(path.name, faults)


def verdict_key(item: str, answer: str) -> str:
    """By what a verdict is looked up: the item's id and the answer, the blanks around it aside."""
    return sha256(f"{item}\n{answer.strip()}".encode("utf-8", errors="surrogatepass")).hexdigest()[:_DIGITS]


def _files_of(task: Any) -> list[str]:
    metrics = task.get("metrics") if isinstance(task, dict) and not task.get("lm_eval") else None
    named = [OWN.fullmatch(one) for one in metrics if isinstance(one, str)] if isinstance(metrics, list) else []
    return list(dict.fromkeys(match["function"] for match in named if match and match["module"] == VERDICTS))


def _read(file: Path) -> str:
    """The verdicts of a file, a line "DIGEST SCORE" for each; raises ValueError."""
    if not file.is_file():
        raise ValueError(f"no file {file.name!r} of verdicts beside the study")
    if file.stat().st_size > LARGEST:
        raise ValueError(f"{file.name} has {file.stat().st_size:,} bytes; at most {LARGEST:,} are allowed")
    scores: dict[str, float] = {}
    for number, key, score in _verdicts(file):
        if scores.setdefault(key, score) != score:
            raise ValueError(f"{file.name}, line {number}: the same item and answer have two scores")
    return "".join(f"{key} {score!r}\n" for key, score in sorted(scores.items()))


def _verdicts(file: Path) -> Iterator[tuple[int, str, float]]:
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    try:
                        yield number, *_verdict(json.loads(line))
                    except (ValueError, RecursionError) as fault:
                        raise ValueError(f"{file.name}, line {number}: {fault}") from None
    except UnicodeDecodeError as fault:
        raise ValueError(f"{file.name} is not UTF-8 ({fault.reason} at byte {fault.start})") from None


def _verdict(line: Any) -> tuple[str, float]:
    if not isinstance(line, dict):
        raise ValueError("a verdict is an object with item, answer and score")
    for column in ("item", "answer"):
        if not isinstance(line.get(column), str):
            raise ValueError(f"{column!r} is {_short(line.get(column))}; it must be text")
    score = line.get("score")
    if not isinstance(score, int | float) or abs(score) > 1e300 or not math.isfinite(score):
        raise ValueError(f"'score' is {_short(score)}; it must be a finite number, true or false")
    return verdict_key(line["item"], line["answer"]), float(score)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
