"""Every answer of a run, task by task, in columns: prompts, expected answers, what each end point answered.

Owns the reading of item rows and how many items the page carries: past `BUDGET` those on which experiments disagree
most. Does not know the page around them, nor metrics.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import pvariance
from typing import cast

from regimen.plan import EvaluateSpec
from regimen.report.payload import packed
from regimen.report.run_reading import Reading
from regimen.results import better_sign, layout
from regimen.results.external import is_external
from regimen.results.tables import Cell
from regimen.study import ZERO_SHOT

BUDGET = 3_000_000  # bytes of packed answers in a page, over all tasks
FEWEST = 10  # items of a task that a page carries at least
LONGEST = 4000  # letters of a text
NONE = -1  # no text
_COLUMNS = ("item_id", "target", "prediction", "text", "score", "detail", "logprobs", "nats", "truncated", "twin")
Columns = dict[str, list[object]]


@dataclass(frozen=True)
class Answers:
    """The answers of one end point, an entry an item (None: not scored on it).

    `answer`, `text` and `detail` are places in `TaskAnswers.texts` (-1: none); `text` is what the model wrote, where
    that is more than the answer that was read. `logprobs` are hundredths of nats, a number a choice; `nats` those of
    the right answer or the document. `value` is the headline metric over all items; `folder` holds items.parquet.
    """

    id: str
    title: str
    folder: str
    shots: int
    value: float | None
    score: Sequence[float | None]
    answer: Sequence[int]
    text: Sequence[int]
    detail: Sequence[int]
    nats: Sequence[float | None]
    logprobs: Sequence[Sequence[int]]
    truncated: Sequence[int]


@dataclass(frozen=True)
class TaskAnswers:
    """The items of a task and the answers to them.

    `prompt`, `target` and `choices` (a list of texts an item) are places in `texts`; `twins` the items with a near twin
    in training rows. `graded`: scores lie between wrong and right; `less`: a smaller score is better. `total` counts
    the task's items, of which the page carries those that are here.
    """

    id: str
    title: str
    metric: str
    less: bool
    graded: bool
    total: int
    texts: Sequence[str]
    items: Sequence[str]
    prompt: Sequence[int]
    target: Sequence[int]
    choices: Sequence[Sequence[int]]
    twins: Sequence[int]
    ends: Sequence[Answers]


class Texts:
    """Texts by number, each kept once; what is too long is cut, and says so."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: object) -> int:
        """The number of a text; -1 for none."""
        if text is None or text == "":
            return NONE
        words = str(text)
        if len(words) > LONGEST:
            words = f"{words[:LONGEST]} … [{len(words) - LONGEST:,} more letters in {layout.ITEM_ROWS}]"
        return self._places.setdefault(words, len(self._places))

    def listed(self) -> list[str]:
        """All texts, in order."""
        return list(self._places)


def task_answers(reading: Reading, budget: int = BUDGET) -> list[TaskAnswers]:
    """The answers of every task that has any, in the study's order; at most about `budget` bytes when packed."""
    cells: dict[str, list[Cell]] = {}
    for cell in reading.tables.cells.values():
        if cell.skipped is None:
            cells.setdefault(cell.task, []).append(cell)
    found = [one for task in reading.plan.study.tasks if (one := _of_task(reading, task, cells.get(task, [])))]
    sizes = [len(packed(task)) for task in found]
    return [_fitted(*one) for one in zip(found, sizes, _shares(sizes, budget), strict=True)]


def _of_task(reading: Reading, name: str, cells: Sequence[Cell]) -> TaskAnswers | None:
    rows = [(cell, columns) for cell in cells if (columns := _read(cell.folder / layout.ITEM_ROWS))]
    if not rows:
        return None
    task, texts = reading.plan.study.tasks[name], Texts()
    targets: dict[str, object] = {}
    for _, columns in rows:
        targets |= dict(zip(cast(list[str], columns["item_id"]), columns["target"], strict=True))
    shown = _prompts(reading, cells)
    ids = list(targets)
    known = {score for _, columns in rows for score in columns["score"]} - {None}
    marks = {pair for _, columns in rows for pair in zip(columns["item_id"], columns["twin"], strict=True)}
    ends: dict[str, Answers] = {}
    for cell, columns in rows:  # the base may stand there twice, as a baseline and as what changes are held against
        ends.setdefault(end_name(reading, cell), _answers(reading, cell, columns, ids, texts))
    return TaskAnswers(
        id=name,
        title=task.title,
        metric=task.headline,
        less=better_sign(task.headline) < 0,
        graded=not known <= {0.0, 1.0},
        total=len(ids),
        items=ids,
        prompt=[texts.place(shown.get(item, {}).get("prompt")) for item in ids],
        target=[texts.place(targets[item]) for item in ids],
        choices=[[texts.place(str(one).strip()) for one in _choices(shown.get(item, {}))] for item in ids],
        twins=[place for place, item in enumerate(ids) if (item, True) in marks],
        ends=list(ends.values()),
        texts=texts.listed(),
    )


def _answers(reading: Reading, cell: Cell, columns: Columns, ids: Sequence[str], texts: Texts) -> Answers:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    by_item = {row["item_id"]: row for row in rows}
    in_order = [by_item.get(item, {}) for item in ids]
    nats = [_short(row.get("nats"), 2) for row in in_order]
    logprobs = [[round(100 * one) for one in _list(row.get("logprobs")) if math.isfinite(one)] for row in in_order]
    answers = [texts.place(row.get("prediction")) for row in in_order]
    wrote = [texts.place(row.get("text")) for row in in_order]
    return Answers(
        id=end_name(reading, cell),
        title=title_of(reading, cell),
        folder=cell.folder.name,
        shots=cell.end.shots,
        value=_short(cell.metrics.get(cell.headline), 6),
        score=[_short(row.get("score"), 4) for row in in_order],
        answer=answers,
        text=[NONE if text == answer else text for text, answer in zip(wrote, answers, strict=True)],
        detail=[texts.place(row.get("detail")) for row in in_order],
        nats=nats if any(one is not None for one in nats) else [],
        logprobs=logprobs if any(logprobs) else [],
        truncated=[place for place, row in enumerate(in_order) if row.get("truncated")],
    )


def end_name(reading: Reading, cell: Cell) -> str:
    """The end point's name in addresses: as in study files, but the base's is the same on every task."""
    planned = reading.planned.get(cell.experiment)
    if is_external(cell.experiment):
        return cell.experiment
    if (planned is None or not planned.experiment.legs) and reading.tables.base_of(
        cell.experiment
    ) == reading.plan.study.base:
        return f"{cell.end.shots}-shot" if cell.end.shots else ZERO_SHOT
    return str(cell.end)


def title_of(reading: Reading, cell: Cell) -> str:
    """The end point as readers see it: an experiment's title, with the leg; or the base's number of examples."""
    if is_external(cell.experiment):
        return f"{cell.experiment}, another system"
    planned = reading.planned.get(cell.experiment)
    if planned is None or not planned.experiment.legs:
        name = f"{cell.end.shots}-shot" if cell.end.shots else "Zero-shot"
        several = len(reading.plan.study.bases) > 1
        return f"{name}, {reading.tables.base_of(cell.experiment).id}" if several else name
    return f"{planned.experiment.title}, after leg {cell.end.leg}" if cell.end.leg else planned.experiment.title


def _read(path: Path) -> Columns | None:
    """The columns of an items.parquet; None where it cannot be read (the page's notes name damaged stages)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            there = [name for name in _COLUMNS if name in file.schema_arrow.names]
            columns = file.read(columns=there, use_threads=False).to_pydict()
    except (OSError, pa.ArrowException):
        return None
    rows = len(columns.get("item_id", ()))
    return {name: columns.get(name) or [None] * rows for name in _COLUMNS} if rows else None


def _prompts(reading: Reading, cells: Sequence[Cell]) -> dict[str, dict[str, object]]:
    """Item -> its line of items.jsonl, of the first end point whose items can be read."""
    for cell in sorted(cells, key=lambda one: (one.experiment != ZERO_SHOT, one.end.shots)):
        stage = _evaluation(reading, cell)
        if stage is None:
            continue
        path = reading.tables.folder.folder(reading.plan.stages[stage.items]).path / layout.ITEMS
        try:
            with path.open(encoding="utf-8") as lines:
                return {str(item["id"]): item for item in map(json.loads, lines)}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}


def _evaluation(reading: Reading, cell: Cell) -> EvaluateSpec | None:
    planned = reading.planned.get(cell.experiment)
    references = {ZERO_SHOT: reading.plan.reference, **reading.plan.base_references}
    names = {one.key: one.stage for one in planned.all_evaluations} if planned else references[cell.experiment]
    stage = reading.plan.stages.get(names.get(cell.key, ""))
    return stage if isinstance(stage, EvaluateSpec) else None


def _choices(item: Mapping[str, object]) -> Sequence[object]:
    return cast(Sequence[object], item.get("choices") or ())


def _list(value: object) -> list[float]:
    return cast(list[float], value or [])


def _short(value: object, digits: int) -> float | None:
    """A number with few decimals, whole where it is whole; None where it is none."""
    if not isinstance(value, float | int) or not math.isfinite(value):
        return None
    short = round(float(value), digits)
    return int(short) if short.is_integer() else short


def _shares(sizes: Sequence[int], budget: int) -> list[float]:
    """The bytes that each task may take: small tasks take what they need, large ones share what is left."""
    left, shares = float(budget), [0.0] * len(sizes)
    for rank, place in enumerate(sorted(range(len(sizes)), key=lambda one: sizes[one])):
        shares[place] = min(float(sizes[place]), left / (len(sizes) - rank))
        left -= shares[place]
    return shares


def _fitted(task: TaskAnswers, size: int, share: float) -> TaskAnswers:
    """The task with the most disagreed of its items, as many as fit into `share` bytes."""
    order, kept, wanted = _most_disagreed(task), task, len(task.items)
    while size > share and wanted > FEWEST:
        wanted = max(FEWEST, min(wanted - 1, int(wanted * 0.98 * share / size)))
        kept = _only(task, sorted(order[:wanted]))
        size = len(packed(kept))
    return kept


def _most_disagreed(task: TaskAnswers) -> list[int]:
    """Places of items, those with the largest variance of scores over end points first."""
    columns = [[one.score[place] for one in task.ends] for place in range(len(task.items))]
    spread = [pvariance(known) if (known := [s for s in scores if s is not None]) else 0.0 for scores in columns]
    return sorted(range(len(task.items)), key=lambda place: (-spread[place], place))


def _only(task: TaskAnswers, places: Sequence[int]) -> TaskAnswers:
    """The task with these items alone, and the texts that they need."""
    texts, listed = Texts(), task.texts

    def again(place: int) -> int:
        return NONE if place == NONE else texts.place(listed[place])

    return replace(
        task,
        items=[task.items[place] for place in places],
        prompt=[again(task.prompt[place]) for place in places],
        target=[again(task.target[place]) for place in places],
        choices=[[again(one) for one in task.choices[place]] for place in places],
        twins=[new for new, place in enumerate(places) if place in set(task.twins)],
        ends=[
            replace(
                one,
                score=[one.score[place] for place in places],
                answer=[again(one.answer[place]) for place in places],
                text=[again(one.text[place]) for place in places],
                detail=[again(one.detail[place]) for place in places],
                nats=[one.nats[place] for place in places] if one.nats else [],
                logprobs=[one.logprobs[place] for place in places] if one.logprobs else [],
                truncated=[new for new, place in enumerate(places) if place in set(one.truncated)],
            )
            for one in task.ends
        ],
        texts=texts.listed(),
    )
