"""The first rows of a source in a seeded order of their groups: few are part of more.

Owns the order. It is of what may be trained on, so that 100 rows are 100 rows; it does not hang on the order of files,
nor on how many are taken. Does not know tokens.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import count

from regimen.data.cleaning import normalised
from regimen.data.forms import group_of
from regimen.data.rows import UsableRow, in_batches
from regimen.errors import DataError
from regimen.study.sources import Source


def first_rows(
    name: str, source: Source, batches: Iterable[list[UsableRow]], most: int, seed: int
) -> Iterator[list[UsableRow]]:
    """The first `most` rows, group after group, in the order in which they came; memory holds no more than these.

    Raises DataError where there are fewer.
    """
    held: list[tuple[int, int, UsableRow]] = []  # a heap whose first is the last in order
    arrivals = count()
    for row in (row for batch in batches for row in batch):
        entry = (-_place(group_of(source.form, row.values), seed), -next(arrivals), row)
        if len(held) < most:
            heapq.heappush(held, entry)
        elif entry[:2] > held[0][:2]:
            heapq.heapreplace(held, entry)
    if len(held) < most:
        raise DataError(
            f"source {name!r} has {len(held):,} rows to train on, and `rows: {most:,}` asks for more; give at most "
            f"{len(held):,}, or `all`"
        )
    held.sort(key=lambda entry: -entry[1])
    return in_batches(row for _, _, row in held)


def _place(group: str, seed: int) -> int:
    """64 bits by which groups are ordered."""
    text = f"rows/{seed}/{normalised(group)}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
