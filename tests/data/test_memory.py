"""What keeps memory bounded - the compact set of what was seen, the spool, the thread ahead - is exact."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.data.ahead import ahead, in_threads
from regimen.data.blocks import Example
from regimen.data.cleaning import Drops, Seen
from regimen.data.spool import Spool


@given(st.lists(st.integers(0, 400), max_size=900))
@settings(max_examples=25, deadline=None)
def test_what_was_seen_is_remembered_through_every_merge(numbers: list[int]) -> None:
    seen, oracle = Seen(), set()
    seen.BUFFER = 7  # type: ignore[misc]
    for number in numbers:
        assert seen.add(f"text {number}") == (number not in oracle)
        oracle.add(number)


def test_a_spool_gives_back_its_examples_in_any_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    examples = [
        Example(rng.integers(0, 2**31 - 1, rng.integers(0, 20)).tolist(), rng.integers(0, 99, 3).tolist())
        for _ in range(500)
    ]
    with Spool(tmp_path / "spool.bin") as spool:
        for example in examples:
            spool.add(example)
        order = rng.permutation(500)
        chosen = spool.chosen(order)
        assert [len(e) for e in chosen] == [len(examples[i]) for i in order]
        for number, found in zip(order, chosen, strict=True):
            assert list(found.prompt) == list(examples[number].prompt)
            assert list(found.answer) == list(examples[number].answer)
    assert not list(tmp_path.iterdir())


def noted(count: int, given: list[int]) -> Iterator[int]:
    """Numbers; `given` holds those that were asked for."""
    for number in range(count):
        given.append(number)
        yield number


def test_ahead_keeps_the_order_and_hands_errors_over() -> None:
    def items() -> Iterator[int]:
        yield from range(50)
        raise ValueError("the fifty-first")

    reader = ahead(items())
    assert [next(reader) for _ in range(50)] == list(range(50))
    with pytest.raises(ValueError, match="the fifty-first"):
        next(reader)
    assert not any(thread.name == "ahead" for thread in threading.enumerate())


def test_ahead_stops_when_its_reader_does() -> None:
    made: list[int] = []
    reader = ahead(noted(10_000, made), depth=3)
    assert [next(reader) for _ in range(5)] == list(range(5))
    reader.close()  # type: ignore[attr-defined]
    assert len(made) < 20
    assert not any(thread.name == "ahead" for thread in threading.enumerate())


def test_work_in_threads_keeps_the_order_and_not_too_much_is_under_way() -> None:
    asked: list[int] = []

    def work(number: int) -> int:
        time.sleep(0.005 * (number % 2))  # the next is done first
        if number == 30:
            raise ValueError("the thirty-first")
        return number

    done = in_threads(work, noted(40, asked))
    for number in range(30):
        assert next(done) == number
        assert len(asked) <= number + 4
    with pytest.raises(ValueError, match="the thirty-first"):
        next(done)
    assert not any(thread.name.startswith("in-threads") for thread in threading.enumerate())


def test_a_ledger_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "drops.jsonl"
    with pytest.raises(ZeroDivisionError), Drops(path) as drops:
        drops.drop("f", 1 // 0, "empty")
    assert not list(tmp_path.iterdir())
    with Drops(path) as drops:
        drops.drop("f", 1, "empty", "a lone surrogate \ud800 is no reason to fail")
    assert path.read_text().count("\n") == 1
