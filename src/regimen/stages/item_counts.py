"""How many test items a plan's tasks have, as far as that can be told without the network.

Owns the counting: tasks whose rows lie in small files of the study's own are read as a run would read them; of others a
study's `test_rows` say it, or the number that is evaluated at most. Loads no torch. Does not know models.
"""

from __future__ import annotations

from pathlib import Path

from regimen.data.cleaning import Drops
from regimen.data.sources import Where, parts_of
from regimen.errors import RegimenError
from regimen.plan import ItemsSpec, Plan
from regimen.stages.items import items_of

MOST_BYTES = 20_000_000  # of a task's files; larger ones are counted by the run alone


def item_counts(plan: Plan, data: Path | None = None, here: Path | None = None) -> dict[str, int]:
    """{task: items} of the tasks that are evaluated; one whose number cannot be told is left out.

    `data` is a mirror, `here` the folder of the study file. Rows that cannot be read are the run's to refuse.
    """
    counts = {}
    for spec in plan.stages.values():
        if isinstance(spec, ItemsSpec) and spec.purpose == "score" and spec.side == "test" and not spec.shots:
            rows = plan.study.test_rows.get(spec.task_name)
            count = min(rows, spec.cap or rows) if rows else _read(spec, Where(spec.data, data, here)) or spec.cap
            if count:
                counts[spec.task_name] = count
    return counts


def _read(spec: ItemsSpec, where: Where) -> int | None:
    if spec.task.lm_eval is not None or any(not source.files for source in spec.sources.values()):
        return None
    try:
        if _bytes(spec, where) > MOST_BYTES:
            return None
        return len(items_of(spec, where, Drops()))
    except (RegimenError, OSError):
        return None


def _bytes(spec: ItemsSpec, where: Where) -> int:
    splits = {name: source.split_of("test") for name, source in spec.sources.items()}
    parts = [
        part for name, split in splits.items() if split for part in parts_of(name, spec.sources[name], split, where)
    ]
    return sum(path.stat().st_size for part in parts for path in part.paths)
