"""Other systems' answers to a task's items: a file of them, and their scoring by the task's own readers.

Owns the file's format - a JSON object a line, with `item_id` and `prediction` - and what can be read of answers without
a model. Does not know run folders.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from regimen.data.items import Item
from regimen.errors import DataError, UsageError
from regimen.evaluation import answers
from regimen.evaluation.floors import positive_class
from regimen.evaluation.item_results import ItemResult
from regimen.evaluation.open_answers import note_readings
from regimen.evaluation.own_metrics import own_readers
from regimen.evaluation.programs import case_of, program_in
from regimen.evaluation.prompts import prompt_hash
from regimen.evaluation.readers import read_written_choice
from regimen.evaluation.sandbox import judge_many, why_not
from regimen.study.metrics import metric
from regimen.study.tasks import Task

UNANSWERED = "no answer was given"
_BY_LIKELIHOOD = ("choice", "likelihood")  # families of metrics that need a model's likelihoods


@dataclass(frozen=True)
class GivenScores:
    """A row an item, in the items' order; `cut` answers went on beyond the task's stop."""

    rows: list[ItemResult]
    cut: int


def read_answers(path: Path, task: str, items: Sequence[Item]) -> dict[str, str | None]:
    """{item id: answer} of every item; None where the system gave none.

    Raises DataError with file and line for what is no such object, an id that is unknown or comes twice, and where
    items are missing.
    """
    known = {item.id for item in items}
    found: dict[str, str | None] = {}
    lines: dict[str, int] = {}
    for number, (item, answer) in _lines(path):
        where = f"{path}, line {number}"
        if item not in known:
            near = get_close_matches(item, known, n=1)
            hint = f" (the nearest is {near[0]!r})" if near else ""
            raise DataError(f"{where}: the task {task!r} has no item {item!r}{hint}; `regimen items` writes its items")
        if item in lines:
            raise DataError(f"{where}: the item {item!r} has an answer in line {lines[item]} already; keep one of them")
        lines[item], found[item] = number, answer
    if missing := [item.id for item in items if item.id not in found]:
        raise DataError(
            f"{path}: {len(missing):,} of {len(items):,} items have no line (the first is {missing[0]!r}); where the "
            'system gave no answer write "prediction": null, which counts as wrong'
        )
    return found


def _lines(path: Path) -> Iterator[tuple[int, tuple[str, str | None]]]:
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if raw.strip():
                    yield number, _parsed(raw, f"{path}, line {number}")
    except OSError as fault:
        raise DataError(f"{path} cannot be read: {(fault.strerror or str(fault)).lower()}") from None


def _parsed(raw: bytes, where: str) -> tuple[str, str | None]:
    form = '{"item_id": "...", "prediction": "..."}'
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise DataError(f"{where} is no JSON in UTF-8; write an object such as {form}") from None
    if not isinstance(value, dict) or not {"item_id", "prediction"} <= value.keys():
        raise DataError(f"{where} has no `item_id` and `prediction`; write an object such as {form}")
    item, answer = value["item_id"], value["prediction"]
    for name, part, allowed in (("item_id", item, str), ("prediction", answer, str | None)):
        if not isinstance(part, allowed):
            shown = json.dumps(part)[:60]
            raise DataError(f"{where}: `{name}` is {shown}, which is no text; write it in quotes")
    return item, answer


def check_answerable(name: str, task: Task) -> None:
    """Raises UsageError where answers alone give no value of the task's headline metric."""
    why = None
    if task.scoring == "text":
        why = "measures how likely a model finds texts, so it has no answers"
    elif task.scoring == "lm-eval":
        why = "is scored by lm-evaluation-harness, which asks models and reads no file of answers"
    elif not _from_answers(task.headline):
        why = f"is compared by {task.headline}, which needs a model's likelihoods"
    elif task.scoring == "execution" and (reason := why_not()) is not None:
        why = f"runs answers as programs, and generated code is not run here: {reason}"
    if why is not None:
        raise UsageError(f"the task {name!r} {why}; score another task's answers")


def _from_answers(name: str) -> bool:
    return metric(name).family not in _BY_LIKELIHOOD


def answered_metrics(task: Task) -> tuple[str, ...]:
    """The task's metrics that answers alone give."""
    return tuple(name for name in task.metrics if _from_answers(name))


def score_answers(
    task: Task, items: Sequence[Item], given: dict[str, str | None], *, trust_code: bool = False, parallel: int = 1
) -> GivenScores:
    """The rows of the answers, read as a model's are: cut at the task's stops, compared by its metrics.

    A closed task's answer is the choice that equals its first line, case and punctuation aside. Raises UsageError for
    metrics that are code of a study nobody trusts.
    """
    own = own_readers(task, trust_code)
    stops = task.generation.stop if task.generation is not None and task.scoring != "choice" else ()
    texts = {item.id: answers.cut_at_stops(given[item.id] or "", stops) for item in items}
    rows = [_blank(item, given[item.id], texts[item.id]) for item in items]
    if task.scoring == "choice":
        for item, row in zip(items, rows, strict=True):
            _read_choice(task, item, row)
    elif task.scoring == "execution":
        _run_programs(items, rows, parallel)
    else:
        note_readings(task, items, [rows], own)
    cut = sum(1 for item in items if len(texts[item.id].strip()) < len((given[item.id] or "").strip()))
    return GivenScores(rows, cut)


def _blank(item: Item, given: str | None, text: str) -> ItemResult:
    row = ItemResult(item.id, item.cluster, prompt_hash(item.prompt), item.answer.strip(), text=text)
    if given is None:
        row.failed, row.detail = True, UNANSWERED
    return row


def _read_choice(task: Task, item: Item, row: ItemResult) -> None:
    names = [choice.strip() for choice in item.choices]
    text = row.text or ""
    row.prediction = None if row.failed else answers.written_choice(text, names)
    row.failed = row.prediction is None
    row.score = float(row.prediction == row.target)
    if "f1" in task.metrics:
        row.positive = positive_class(task, item)
    if task.generation is not None:
        row.values |= read_written_choice(text, item.choices, row.target)
    row.score = row.values.get(task.headline, row.score)


def _run_programs(items: Sequence[Item], rows: Sequence[ItemResult], parallel: int) -> None:
    programs = [program_in(item, row.text or "") for item, row in zip(items, rows, strict=True)]
    cases = [case_of(item, program) for item, program in zip(items, programs, strict=True)]
    for row, program, verdict in zip(rows, programs, judge_many(cases, parallel=parallel), strict=True):
        row.prediction = program
        row.score = row.values["pass@1"] = 0.0 if row.failed else float(verdict.passed)
        row.detail = row.detail or verdict.reason


def prompts_of(task: Task, items: Sequence[Item]) -> Iterator[dict[str, object]]:
    """What to send a system, an object an item: `item_id`, `prompt` or `messages`, `choices`, `stop`, `max_tokens`.

    The right answers are left out.
    """
    for item in items:
        asked: dict[str, object] = {"item_id": item.id}
        if item.conversation is not None:
            turns = item.conversation.before(item.conversation.answers[-1])
            asked["messages"] = [turn.message() for turn in turns.turns]
            if turns.tools:
                asked["tools"] = [dict(tool) for tool in turns.tools]
        else:
            asked["prompt"] = "".join(item.shots) + item.prompt
        if item.choices:
            asked["choices"] = [choice.strip() for choice in item.choices]
        elif task.generation is not None:
            asked |= {"stop": list(task.generation.stop), "max_tokens": task.generation.tokens}
        yield asked
