"""What crosses the wall: plain values, whole and exact; anything else is refused, whatever the bytes."""

from __future__ import annotations

import math
import os
import struct
import time
from collections import OrderedDict, namedtuple
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regimen.evaluation.sandbox.inside import channel
from regimen.evaluation.sandbox.inside.codec import (
    MAX_DEPTH,
    MAX_INT_BYTES,
    Malformed,
    NotPlain,
    TooLarge,
    decode,
    encode,
)
from regimen.evaluation.sandbox.inside.remote import refresh
from tests.support.patience import patient, within

LIMIT = 1 << 20
ROOM = 1 << 16

_keys = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)
_values = st.recursive(
    _keys,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.sets(_keys, max_size=5)
        | st.dictionaries(_keys, inner, max_size=5)
    ),
    max_leaves=30,
)


def same(left: object, right: object) -> bool:
    """Equal in value, exact type and order, all the way down; `repr` tells 0.0 from -0.0."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, set) and isinstance(right, set):
        return left == right and sorted(map(repr, left)) == sorted(map(repr, right))
    return left == right and repr(left) == repr(right)


@given(_values)
def test_plain_values_come_back_as_they_were(value):
    assert same(decode(encode(value, LIMIT)), value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_plain_value_or_malformed(data):
    try:
        value = decode(data)
    except Malformed:
        return
    assert same(decode(encode(value, LIMIT)), value)  # raises NotPlain if decoding had let anything else through


@given(_values, st.data())
def test_damaged_bytes_never_do_worse_than_malformed(value, data):
    good = bytearray(encode(value, LIMIT))
    good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        encode(decode(bytes(good)), LIMIT)
    except Malformed:
        assert bytes(good) != encode(value, LIMIT)


@given(_values)
def test_no_proper_beginning_of_a_value_is_a_value(value):
    data = encode(value, LIMIT)
    with pytest.raises(Malformed):
        decode(data[:-1])
    with pytest.raises(Malformed):
        decode(data + b"N")


def test_bytes_on_the_wire_are_fixed():
    value = [None, True, -1, 1.5, "é", (b"x",), {1}, {"k": False}]
    assert encode(value, LIMIT) == (
        b"l\x08\0\0\0NTi\x01\0\0\0\xfff\0\0\0\0\0\0\xf8?s\x02\0\0\0\xc3\xa9"
        b"t\x01\0\0\0b\x01\0\0\0xS\x01\0\0\0i\x01\0\0\0\x01d\x01\0\0\0s\x01\0\0\0kF"
    )


def test_a_nan_comes_back_as_a_new_object():
    nan = float("nan")
    decoded = decode(encode([nan], LIMIT))
    assert isinstance(decoded, list)
    [back] = decoded
    assert math.isnan(back)
    assert back is not nan
    assert [back] != [nan]


class _Sly(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


_Pair = namedtuple("_Pair", "left right")
_Colour = IntEnum("_Colour", "RED")


@pytest.mark.parametrize(
    "value",
    [
        _Sly(3),
        _Pair(1, 2),
        _Colour.RED,
        OrderedDict(a=1),
        frozenset({1}),
        bytearray(b"x"),
        1j,
        range(3),
        object(),
        iter([]),
        len,
        int,
        ...,
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [v], lambda v: (1, [v]), lambda v: {"k": v}])
def test_anything_but_the_exact_types_is_refused(value, wrap):
    with pytest.raises(NotPlain, match=type(value).__name__):
        encode(wrap(value), LIMIT)


def test_a_lie_about_the_class_is_seen_through():
    class Liar:
        __class__ = int  # type: ignore[assignment]

    with pytest.raises(NotPlain, match="Liar"):
        encode(Liar(), LIMIT)


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_depth_is_limited_on_both_sides():
    assert decode(encode(nested(MAX_DEPTH), LIMIT)) == nested(MAX_DEPTH)
    with pytest.raises(TooLarge, match=str(MAX_DEPTH)):
        encode(nested(MAX_DEPTH + 1), LIMIT)
    with pytest.raises(Malformed, match="deep"):
        decode(b"l\x01\0\0\0" * 100_000 + b"N")


def test_a_cycle_is_too_deep():
    cycle: list = []
    cycle.append(cycle)
    with pytest.raises(TooLarge):
        encode(cycle, LIMIT)


def test_ints_are_limited_on_both_sides():
    largest = (1 << (8 * MAX_INT_BYTES - 1)) - 1
    assert decode(encode(largest, LIMIT)) == largest
    assert decode(encode(-largest, LIMIT)) == -largest
    with pytest.raises(TooLarge, match="int"):
        encode(largest + 1, LIMIT)
    with pytest.raises(Malformed, match="int"):
        decode(b"i" + struct.pack("<I", MAX_INT_BYTES + 1) + bytes(MAX_INT_BYTES + 1))


@pytest.mark.parametrize("value", ["x" * 101, b"x" * 101, [0] * 101, "é" * 60, {n: n for n in range(20)}])
def test_the_limit_of_bytes_holds(value):
    with pytest.raises(TooLarge, match="100 bytes"):
        encode(value, 100)


def test_shared_parts_cannot_blow_up_the_encoding():
    value: list = []
    for _ in range(60):
        value = [value, value]
    with within(10), pytest.raises(TooLarge):
        encode(value, LIMIT)


def test_a_huge_declared_length_costs_nothing():
    with within(1):
        for tag in b"lSdtsbi":
            with pytest.raises(Malformed):
                decode(bytes([tag]) + b"\xff\xff\xff\xff" + b"N" * 10)


@pytest.mark.parametrize(
    "data", [b"S\x01\0\0\0l\0\0\0\0", b"d\x01\0\0\0l\0\0\0\0N", b"s\x01\0\0\0\xff", b"i\0\0\0\0", b"x", b""]
)
def test_impossible_values_are_malformed(data):
    with pytest.raises(Malformed):
        decode(data)


@given(_values, _values)
def test_refresh_makes_the_old_value_equal_the_new_in_place(old, new):
    new = decode(encode(new, LIMIT))
    expected = decode(encode(new, LIMIT))
    was_alike = type(old) is type(new) and type(new) in (list, dict, set)
    fresh = refresh(old, new)
    assert same(fresh, expected)
    assert (fresh is old) or not was_alike


def test_refresh_keeps_the_inner_containers_that_a_test_may_hold():
    row, pair, table = [1], ([2],), {"k": [3]}
    grid = [row, pair, table]
    refresh(grid, [[1, 9], ([8],), {"k": [7], "new": 1}, 4])
    assert grid == [[1, 9], ([8],), {"k": [7], "new": 1}, 4]
    assert grid[0] is row
    assert pair == ([8],)
    assert grid[2] is table
    assert row == [1, 9]


@pytest.fixture
def pipe():
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it


def soon() -> float:
    return time.monotonic() + patient(0.2)


def test_a_frame_comes_back_and_no_byte_of_the_next(pipe):
    channel.send(pipe[1], b"one", soon())
    channel.send(pipe[1], b"", soon())
    assert channel.receive(pipe[0], 10, soon()) == b"one"
    assert channel.receive(pipe[0], 10, soon()) == b""


def test_a_frame_above_the_limit_is_not_read(pipe):
    os.write(pipe[1], b"\xff\xff\xff\xff")
    with pytest.raises(TooLarge):
        channel.receive(pipe[0], 1000, soon())


def test_a_reader_waits_no_longer_than_its_deadline_for_the_whole_frame(pipe):
    os.write(pipe[1], struct.pack("<I", 100) + b"x")
    with within(5), pytest.raises(TimeoutError):
        channel.receive(pipe[0], 1000, soon())


def test_a_writer_waits_no_longer_than_its_deadline(pipe):
    with pytest.raises(TimeoutError):
        channel.send(pipe[1], bytes(1 << 22), soon())


def test_the_end_of_the_other_side_is_seen(pipe):
    os.close(pipe[1])
    with pytest.raises(EOFError):
        channel.receive(pipe[0], 10, soon())


def test_writing_to_nobody_is_seen(pipe):
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        channel.send(pipe[1], b"x", soon())
