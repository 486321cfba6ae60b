"""Solved examples that stand before the prompts of a task.

Owns which training rows are shown. Does not know items or models.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from regimen.data.choice import InTurn
from regimen.data.cleaning import Drops, digest
from regimen.data.forms import Rendered, render
from regimen.data.overlap import TestTexts
from regimen.data.prepare import trainable_rows
from regimen.data.sources import Where
from regimen.errors import DataError
from regimen.study.sources import Source


def solved_examples(name: str, source: Source, shots: int, where: Where, tests: TestTexts) -> tuple[str, ...]:
    """`shots` solved examples from all training rows: the first by hash, classes in turn where there are classes.

    A training row that holds a test item is no example. Of few rows some are shown again. Raises DataError where no
    row is left, SourceMissing where the training rows are not there.
    """
    first: InTurn[tuple[bytes, int, Any]] = InTurn(shots)
    rows = chain.from_iterable(trainable_rows(name, source, "finetune", where, tests, Drops()))
    for number, row in enumerate(rows):
        rendered = row.rendered or render(source.form, row.values)
        first.add(rendered.target, (digest(rendered.prompt), number, rendered))
    by_class = {kind: [one[2] for one in chosen] for kind, chosen in first.by_class().items()}
    if not by_class:
        raise DataError(
            f"source {name!r}: every row of its training side holds a test item or is near to one, so none is left "
            "for examples; `leaks: exact` drops only rows with the test text itself, `leaks: off` none"
        )
    # fewer examples than classes leave the last classes without one
    classes = sorted(kind for kind, chosen in by_class.items() if chosen)
    chosen: list[Rendered] = []
    for number in range(shots):
        members = by_class[classes[number % len(classes)]]
        chosen.append(members[(number // len(classes)) % len(members)])
    return tuple(f"{r.prompt}{r.answer}\n\n" for r in chosen)
