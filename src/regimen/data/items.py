"""The test items of a task: rendered once, the same for every adapter.

Owns which held-out rows are tested on, in which order, and what an item holds. Does not know models or scores.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

from regimen.data.cleaning import Drops, digest, group_digest, normalised
from regimen.data.conversations import Conversation
from regimen.data.forms import Content, content_of, group_of, render
from regimen.data.keys import loosened
from regimen.data.overlap import TestText, TestTexts
from regimen.data.prepare import hits_of, trainable_rows
from regimen.data.programs import program_facts
from regimen.data.row_fault import RowFault
from regimen.data.rows import UsableRow, in_batches, usable_rows
from regimen.data.shots import solved_examples
from regimen.data.sources import Where
from regimen.errors import DataError, SourceMissing
from regimen.study.sources import Side, Source
from regimen.study.tasks import Task

NEAR_DUPLICATES = "near-duplicates"
LONE_WORDS = 8  # a value of at least so many words is looked for without the others of its prompt
LONE_ANSWER_WORDS = 20  # an answer of at least so many is looked for without its prompt


@dataclass(frozen=True)
class Item:
    """One test item.

    `prompt` ends without a trailing blank; `choices` begin with the joining blank, `target` is the index of the right
    one (-1 for open answers); `answer` is the right answer's text; `cluster` names what the bootstrap draws whole;
    `parts` are the values that the row itself puts in, `source` and `group` (a digest) where it is from: what training
    rows are checked against; `extra` holds the tests of a program; `shots` are solved examples,
    each with the blank lines after it, to be put before the prompt. `twin` says that the training side of the item's
    own source, as published, held its text or a near twin of it. `others` are right answers beside the first. A
    `conversation` is asked by its `chat_template`, up to the assistant's last turn.
    """

    id: str
    prompt: str
    answer: str
    choices: tuple[str, ...] = ()
    target: int = -1
    cluster: str = ""
    parts: tuple[str, ...] = ()
    source: str | None = None
    group: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    shots: tuple[str, ...] = ()
    twin: bool = False
    others: tuple[str, ...] = ()
    conversation: Conversation | None = None
    chat_template: str = "base"

    @property
    def answers(self) -> tuple[str, ...]:
        """Every right answer, without the blanks around it; the first is the one that training shows."""
        return (self.answer.strip(), *(other.strip() for other in self.others))


def build_items(
    task: Task,
    sources: dict[str, Source],
    cap: int | None,
    seed: int,
    where: Where,
    drops: Drops,
    shots: int = 0,
    *,
    side: Side = "test",
    tests: TestTexts | None = None,
) -> list[Item]:
    """The items of a task from the rows of one side, at most `cap`.

    They are stratified by class where there are classes, in order of their hash.

    `sources` holds the task's sources and those that their held-out rows must not stand in. Rows that hold a text of
    `tests` are dropped: what is validated on must hold no test item.
    """
    items: list[Item] = []
    share = None if cap is None else -(-cap // len(task.source))
    for name in task.source:
        source = sources[name]
        elsewhere = _texts_of(source, sources, where)
        found: list[Item] = []
        places: dict[str, str] = {}
        rows = trainable_rows(name, source, "finetune", where, tests or TestTexts(()), drops, side)
        for row in chain.from_iterable(rows):
            content = _content(source, row)
            if elsewhere and loosened(content.asked) in elsewhere:
                drops.drop(row.part, row.number, "stands in another source", content.asked)
                continue
            place = f"{row.part}, row {row.number}"
            try:
                item = _item(task, name, source, row, content, side)
            except RowFault as fault:
                raise DataError(f"source {name!r}, {place}, {fault}") from None
            if (other := places.setdefault(item.id, place)) is not place:
                raise DataError(
                    f"source {name!r}: two test rows are both called {item.id}, one of {other}, one of {place}; "
                    "name each file once and keep files apart by their paths"
                )
            found.append(item)
        items += _choose(found, share, seed)
    if cap is not None:
        items = items[:cap]
    if shots:
        name = task.source[0]
        examples = solved_examples(name, sources[name], shots, where, TestTexts(test_texts("", items)))
        items = [replace(item, shots=examples) for item in items]
    return items


def mark_twins(items: list[Item], task: Task, sources: dict[str, Source], where: Where) -> list[Item]:
    """The items, each with its `twin`, found by reading the training side of the task's sources once.

    A source whose training rows are not there marks nothing.
    """
    tests = TestTexts(test_texts("", items))
    twins: set[str] = set()
    for name in task.source:
        source = sources[name]
        if source.split is None:
            continue
        with suppress(SourceMissing):
            for batch in in_batches(usable_rows(name, source, "train", where, Drops())):
                found = hits_of(name, source.model_copy(update={"leaks": "near"}), "finetune", batch, tests)
                twins |= {hit.item for hits in found for hit in hits if hit.how != "group"}
    return [replace(item, twin=item.id in twins) for item in items]


def test_texts(task: str, items: Sequence[Item]) -> Iterator[TestText]:
    """The texts of a task's items that training must not hold.

    Of each item the values that it puts into its prompt, joined; each long one of several also by itself, and its
    answer if that is a text of many words. A value that very many items share (an instruction, a system message) is
    no item's own: it is left out, and looked for only together with the rest. Of a text without a prompt only the text
    itself is looked for, not its like.
    """
    shared = _shared(items)
    for item in items:
        near, own = bool(item.prompt), tuple(part for part in item.parts if normalised(part) not in shared)

        def text(*parts: str, near: bool = near, item: Item = item) -> TestText:
            return TestText(task, item.id, " ".join(parts), near, parts, item.source, item.group)

        yield text(*(own or item.parts), near=near and bool(own))
        if own and own != item.parts:
            yield text(*item.parts, near=False)
        if len(own) > 1:
            yield from (text(part) for part in own if len(part.split()) >= LONE_WORDS)
            if len(own) == 2:
                yield text(*reversed(own))
        lone = near and not item.choices and len(item.answer.split()) >= LONE_ANSWER_WORDS
        if lone and normalised(item.answer) not in shared:
            yield text(item.answer.strip())


test_texts.__test__ = False  # type: ignore[attr-defined]


def _shared(items: Sequence[Item]) -> set[str]:
    """The values, normalised, that no item is told by: in most of the items, or in over 20 of them and a fiftieth."""
    counts = Counter(
        value for item in items for value in {normalised(part) for part in (*item.parts, item.answer)} if value
    )
    most = len(items) / 2
    return {value for value, n in counts.items() if n > max(3, most) or n > max(20, len(items) / 50)}


def _item(task: Task, name: str, source: Source, row: UsableRow, content: Content, side: Side) -> Item:
    ident = _identity(name, source, row, side)
    cut = source.cut_of(side)
    keeps = source.form.group is not None and cut is not None and cut.share is None
    group = group_digest(group_of(source.form, row.values)) if keeps else ""
    if task.scoring == "text":
        parts = content.prompt + content.answer
        return Item(ident, prompt="", answer=row.text, cluster=ident, parts=parts, source=name, group=group)
    rendered = row.rendered or render(source.form, row.values)
    if task.resample == NEAR_DUPLICATES:
        cluster = loosened(content.asked)
    else:
        cluster = group_of(source.form, row.values, task.resample) if task.resample else ident
    extra: dict[str, str] = {}
    if task.scoring == "execution":
        extra = program_facts(source.form, row.values, rendered.prompt, rendered.answer)
    return Item(
        ident,
        prompt=rendered.prompt,
        answer=rendered.answer,
        choices=rendered.choices,
        target=rendered.target,
        cluster=digest(cluster).hex(),
        parts=content.prompt,
        source=name,
        group=group,
        extra=extra,
        others=rendered.others,
        conversation=rendered.conversation,
        chat_template=source.form.chat_template,
    )


def _identity(name: str, source: Source, row: UsableRow, side: Side) -> str:
    """The item's name, the same wherever its row is read from: source, split (config too, of several), row number."""
    if source.files:
        return f"{name}:{_as_written(source, row.part, side)}:{row.number}"
    split = source.split_of(side)
    among = source.configs if len(source.configs) > 1 else ()
    config = next((f"{config}/" for config in among if f"/{config}/" in row.part), "")
    return f"{name}:{config}{split}:{row.number}"


def _as_written(source: Source, part: str, side: Side) -> str:
    """A file's path as the study has it; of a path from the root what tells it from the other files of its side."""
    path = PurePath(part)
    if not path.is_absolute():
        return path.as_posix()
    folders = [PurePath(name).parent for name in source.files_of(side) if PurePath(name).is_absolute()]
    shared = os.path.commonpath(folders) if folders else ""
    return path.relative_to(shared).as_posix() if shared and path.is_relative_to(shared) else path.name


def _content(source: Source, row: UsableRow) -> Content:
    return content_of(source.form, row.values, row.text if row.rendered is None else None)


def _choose(items: list[Item], cap: int | None, seed: int) -> list[Item]:
    """At most `cap` items: each class its share (largest remainder), within a class in order of the hash of its id."""
    order = {item.id: digest(f"{seed}/{item.id}") for item in items}
    ordered = sorted(items, key=lambda item: order[item.id])
    if cap is None or cap >= len(items):
        return ordered
    strata: dict[int, list[Item]] = defaultdict(list)
    for item in ordered:
        strata[item.target].append(item)
    exact = {key: cap * len(members) / len(items) for key, members in strata.items()}
    counts = {key: int(value) for key, value in exact.items()}
    for key in sorted(exact, key=lambda key: (counts[key] - exact[key], key))[: cap - sum(counts.values())]:
        counts[key] += 1
    chosen = {item.id for key, members in strata.items() for item in members[: counts[key]]}
    return [item for item in ordered if item.id in chosen]


def _texts_of(source: Source, sources: dict[str, Source], where: Where) -> set[str]:
    """The loosened texts of the sources that this one's test rows must not stand in."""
    texts: set[str] = set()
    for name in source.held_out.not_in if source.held_out else ():
        other = sources[name]
        cut: tuple[Side, ...] = ("validation", "test")
        sides: list[Side] = ["train", *(side for side in cut if other.cut_of(side))]
        for side in sides:
            rows = usable_rows(name, other, side, where, Drops())
            texts |= {loosened(_content(other, row).asked) for row in rows}
    return texts


def write_items(items: Iterable[Item], path: Path) -> None:
    """One JSON object a line."""
    lines = (json.dumps(asdict(item), ensure_ascii=False) + "\n" for item in items)
    path.write_text("".join(lines), encoding="utf-8")


def read_items(path: Path) -> list[Item]:
    """The items of a file that `write_items` wrote."""
    items = []
    with path.open(encoding="utf-8") as file:
        for line in file:
            values: dict[str, Any] = json.loads(line)
            tuples = {name: tuple(values[name]) for name in ("choices", "parts", "shots", "others")}
            if values.get("conversation"):
                values["conversation"] = Conversation.from_json(values["conversation"])
            items.append(Item(**{**values, **tuples}))
    return items


def texts_to_avoid(paths: Iterable[tuple[str, Path]]) -> Iterator[TestText]:
    """The texts of all items in the given files, each with its task's name."""
    for task, path in paths:
        yield from test_texts(task, read_items(path))
