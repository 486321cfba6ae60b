"""The result of one item for one adapter: a row of items.parquet.

Owns the row and its columns. Does not know how its values are computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ItemResult:
    """The result of one item for one adapter; a row of items.parquet.

    `score` is the item's own headline score (nan if it could not be scored); `prediction`, `target` and `failed` are
    as the headline reads the answer; `positive` names the class that F1 is of. `values` holds all per-item metrics;
    `bleu_counts` and `entity_counts` are what corpus metrics sum over items (see `answers`). `nats` and `bytes` are
    the negative log-likelihood and size of the right answer or text, `shots` counts the solved examples that fitted
    before the prompt.
    """

    item_id: str
    cluster: str
    prompt_hash: str
    target: str
    prediction: str | None = None
    positive: str | None = None
    score: float = math.nan
    logprobs: list[float] = field(default_factory=list)
    text: str | None = None
    truncated: bool = False
    failed: bool = False
    detail: str = ""
    nats: float = math.nan
    bytes: int = 0
    tokens: int = 0
    values: dict[str, float] = field(default_factory=dict)
    bleu_counts: list[float] = field(default_factory=list)
    entity_counts: list[float] = field(default_factory=list)
    shots: int = 0


def result_columns(task: str, results: Sequence[ItemResult]) -> dict[str, list[Any]]:
    """Results as columns, for items.parquet."""
    columns: dict[str, list[Any]] = {"task": [task] * len(results)}
    for name in ItemResult.__dataclass_fields__:
        values = [getattr(result, name) for result in results]
        if name == "values":
            values = [list(value.items()) for value in values]
        columns[name] = values
    return columns
