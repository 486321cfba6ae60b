"""`rows: N`: so many rows, few of them part of more, groups kept together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.data.rows import UsableRow
from regimen.data.subset import first_rows
from regimen.errors import DataError
from regimen.study.sources import Form, Source

SOURCE = Source(files=("rows.jsonl",), form=Form(text="{{ text }}", group="{{ group }}"))


def rows_of(groups: list[int]) -> list[UsableRow]:
    values = [{"text": f"row {number}", "group": f"g{group}"} for number, group in enumerate(groups)]
    return [UsableRow("rows.jsonl", number, row, row["text"], row["text"]) for number, row in enumerate(values)]


def chosen(rows: list[UsableRow], most: int, seed: int = 17) -> list[int]:
    batches = [rows[:3], rows[3:]]
    return [row.number for batch in first_rows("it", SOURCE, batches, most, seed) for row in batch]


GROUPS = st.lists(st.integers(0, 9), min_size=1, max_size=60)


@given(groups=GROUPS, seed=st.integers(0, 5))
def test_rows_are_nested_for_every_pair_of_sizes(groups: list[int], seed: int) -> None:
    rows = rows_of(groups)
    before: set[int] = set()
    for most in range(1, len(rows) + 1):
        found = chosen(rows, most, seed)
        assert len(found) == len(set(found)) == most
        assert found == sorted(found), "in the order in which they came"
        assert before < set(found)
        before = set(found)


@given(groups=GROUPS, most=st.integers(1, 60))
def test_at_most_one_group_is_cut(groups: list[int], most: int) -> None:
    rows = rows_of(groups)
    found = set(chosen(rows, min(most, len(rows))))
    cut = [
        g for g in set(groups) if 0 < len({r.number for r in rows if groups[r.number] == g} & found) < groups.count(g)
    ]
    assert len(cut) <= 1


def test_another_seed_takes_others_and_the_order_of_the_file_decides_nothing() -> None:
    rows = rows_of(list(range(50)))
    assert chosen(rows, 10) != chosen(rows, 10, seed=18)
    assert sorted(chosen(rows[::-1], 10)) == sorted(chosen(rows, 10))


def test_rows_beyond_the_source_are_refused() -> None:
    with pytest.raises(
        DataError, match="source 'it' has 3 rows to train on, and `rows: 5` asks for more; give at most 3"
    ):
        chosen(rows_of([1, 2, 3]), 5)
