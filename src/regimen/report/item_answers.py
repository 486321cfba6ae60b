"""Every answer of a run, task by task, in columns: prompts, expected answers, what each end point answered.

Owns how many items the page carries: past `BUDGET` those on which experiments disagree most. Does not know files, the
page around them, nor metrics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import pvariance
from typing import cast

from regimen.report.payload import packed
from regimen.report.scored_ends import Columns, Scored, prompts
from regimen.results import better_sign, layout
from regimen.study.tasks import Task

BUDGET = 3_000_000  # bytes of packed answers in a page, over all tasks
FEWEST = 10  # items of a task that a page carries at least
LONGEST = 4000  # letters of a text
NONE = -1  # no text


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


def task_answers(tasks: Mapping[str, Task], ends: Sequence[Scored], budget: int = BUDGET) -> list[TaskAnswers]:
    """The answers of every task that has any, in the tasks' order; at most about `budget` bytes when packed."""
    by_task: dict[str, list[Scored]] = {}
    for end in ends:
        by_task.setdefault(end.cell.task, []).append(end)
    found = [one for name in tasks if (one := _of_task(name, tasks[name], by_task.get(name, [])))]
    sizes = [len(packed(task)) for task in found]
    return [_fitted(*one) for one in zip(found, sizes, _shares(sizes, budget), strict=True)]


def _of_task(name: str, task: Task, scored: Sequence[Scored]) -> TaskAnswers | None:
    rows = [(end, columns) for end in scored if (columns := end.rows())]
    if not rows:
        return None
    texts = Texts()
    targets: dict[str, object] = {}
    for _, columns in rows:
        targets |= dict(zip(cast(list[str], columns["item_id"]), columns["target"], strict=True))
    shown = prompts(scored)
    ids = list(targets)
    known = {score for _, columns in rows for score in columns["score"]} - {None}
    marks = {pair for _, columns in rows for pair in zip(columns["item_id"], columns["twin"], strict=True)}
    ends: dict[str, Answers] = {}
    for end, columns in rows:  # the base may stand there twice, as a baseline and as what changes are held against
        ends.setdefault(end.id, _answers(end, columns, ids, texts))
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


def _answers(end: Scored, columns: Columns, ids: Sequence[str], texts: Texts) -> Answers:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    by_item = {row["item_id"]: row for row in rows}
    in_order = [by_item.get(item, {}) for item in ids]
    nats = [_short(row.get("nats"), 2) for row in in_order]
    logprobs = [[round(100 * one) for one in _list(row.get("logprobs")) if math.isfinite(one)] for row in in_order]
    answers = [texts.place(row.get("prediction")) for row in in_order]
    wrote = [texts.place(row.get("text")) for row in in_order]
    return Answers(
        id=end.id,
        title=end.title,
        folder=end.cell.folder.name,
        shots=end.cell.end.shots,
        value=_short(end.cell.metrics.get(end.cell.headline), 6),
        score=[_short(row.get("score"), 4) for row in in_order],
        answer=answers,
        text=[NONE if text == answer else text for text, answer in zip(wrote, answers, strict=True)],
        detail=[texts.place(row.get("detail")) for row in in_order],
        nats=nats if any(one is not None for one in nats) else [],
        logprobs=logprobs if any(logprobs) else [],
        truncated=[place for place, row in enumerate(in_order) if row.get("truncated")],
    )


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
