"""From an items spec to the items: of a study's own task by its sources, of a harness task by the harness.

Owns that choice, and gathering the test texts of several specs where no stage has run yet. Does not know folders.
"""

from __future__ import annotations

from collections.abc import Iterable

from regimen.data.cleaning import Drops
from regimen.data.items import Item, build_items, test_texts
from regimen.data.overlap import TestText, TestTexts
from regimen.data.sources import Where
from regimen.errors import SourceMissing
from regimen.evaluation.gold import check_gold
from regimen.plan import ItemsSpec


def items_of(spec: ItemsSpec, where: Where, drops: Drops, tests: TestTexts | None = None) -> list[Item]:
    """The items of one spec; raises as `build_items` and the harness do."""
    if spec.task.lm_eval is not None:
        from regimen.evaluation.lm_eval_bridge import harness_items

        return harness_items(spec.task, spec.cap, spec.shots, where.here)
    items = build_items(
        spec.task, spec.sources, spec.cap, spec.seed, where, drops, spec.shots, side=spec.side, tests=tests
    )
    check_gold(spec.task_name, spec.task, items)
    return items


def texts_of(specs: Iterable[ItemsSpec], where: Where) -> tuple[TestTexts, dict[str, str]]:
    """The test texts of these specs, and {task: why it is left out} for those whose rows are not there."""
    texts: list[TestText] = []
    absent: dict[str, str] = {}
    for spec in specs:
        try:
            texts += test_texts(spec.task_name, items_of(spec, where, Drops()))
        except SourceMissing as fault:
            absent[spec.task_name] = str(fault)
    return TestTexts(texts), absent
