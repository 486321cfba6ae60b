"""Plain values as bytes, and back: the only thing that crosses from a generated program to its test.

Exactly None, bool, int, float, str, bytes, list, tuple, dict and set, by exact type: an instance of a
subclass, however it compares, is refused. Decoding builds fresh values of these types out of nothing but
the bytes, so neither identity nor behaviour can cross. Knows nothing of processes or pipes.

    value   = tag, body
    N T F   None, True, False           no body
    i s b   int, str, bytes             length, then little-endian two's complement, UTF-8, the bytes
    f       float                       eight bytes, little-endian IEEE 754
    l t S d list, tuple, set, dict      number of entries, then the entries (of a dict: key, value)

Lengths and numbers are four bytes, little-endian, unsigned.
"""

from __future__ import annotations

import struct
from itertools import chain

MAX_DEPTH = 64
MAX_INT_BYTES = 8192

_LENGTH = struct.Struct("<I")
_FLOAT = struct.Struct("<d")
_SINGLES = {b"N": None, b"T": True, b"F": False}
_CONTAINERS = {list: b"l", tuple: b"t", set: b"S", dict: b"d"}


class NotPlain(Exception):
    """A value of a type that does not cross; the message is the type's name."""


class TooLarge(Exception):
    """A value or a frame above its limit."""


class Malformed(Exception):
    """Bytes that no encoder of ours writes."""


def encode(value: object, limit: int) -> bytes:
    """The bytes of a plain value.

    Raises NotPlain for any other type and TooLarge beyond `limit` bytes, MAX_DEPTH levels (a cycle has no
    end of them) or an int of more than MAX_INT_BYTES.
    """
    out = bytearray()
    _write(value, out, limit, MAX_DEPTH)
    return bytes(out)


def _write(value: object, out: bytearray, limit: int, depth: int) -> None:
    kind = type(value)
    if value is None or kind is bool:
        out += b"N" if value is None else b"T" if value else b"F"
    elif kind is float:
        out += b"f" + _FLOAT.pack(value)
    elif kind in (int, str, bytes):
        _write_scalar(value, out, limit)
    elif kind in _CONTAINERS:
        _write_container(value, out, limit, depth)
    else:
        raise NotPlain(str(kind.__name__)[:80])
    if len(out) > limit:
        raise TooLarge(f"more than {limit} bytes")


def _write_scalar(value, out: bytearray, limit: int) -> None:
    if type(value) is int:
        size = value.bit_length() // 8 + 1
        if size > MAX_INT_BYTES:
            raise TooLarge(f"an int of more than {MAX_INT_BYTES} bytes")
        tag, body = b"i", value.to_bytes(size, "little", signed=True)
    elif len(value) > limit:
        raise TooLarge(f"more than {limit} bytes")
    elif type(value) is str:
        tag, body = b"s", value.encode("utf-8", "surrogatepass")
    else:
        tag, body = b"b", value
    out += tag + _LENGTH.pack(len(body)) + body


def _write_container(value, out: bytearray, limit: int, depth: int) -> None:
    if depth == 0:
        raise TooLarge(f"nested deeper than {MAX_DEPTH} levels")
    if len(value) > limit:
        raise TooLarge(f"more than {limit} bytes")
    out += _CONTAINERS[type(value)] + _LENGTH.pack(len(value))
    entries = chain.from_iterable(value.items()) if type(value) is dict else value
    for entry in entries:
        _write(entry, out, limit, depth - 1)


def decode(data: bytes) -> object:
    """The plain value that `data` holds, all of it; raises Malformed for any other bytes.

    Time and memory are linear in the length of `data`, save for the hash collisions that a set or dict of
    hostile ints can hold.
    """
    value, end = _read(data, 0, MAX_DEPTH)
    if end != len(data):
        raise Malformed("bytes after the value")
    return value


def _read(data: bytes, at: int, depth: int) -> tuple[object, int]:
    tag = data[at : at + 1]
    if tag in _SINGLES:
        return _SINGLES[tag], at + 1
    if tag == b"f":
        return _FLOAT.unpack(_slice(data, at + 1, 8))[0], at + 9
    if not tag or tag not in b"isbltSd":
        raise Malformed("an unknown tag")
    (size,) = _LENGTH.unpack(_slice(data, at + 1, 4))
    if tag in b"isb":
        return _scalar(tag, _slice(data, at + 5, size)), at + 5 + size
    if depth == 0:
        raise Malformed("nested too deep")
    return _read_container(tag, data, at + 5, size, depth - 1)


def _slice(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise Malformed("cut short")
    return data[at : at + size]


def _scalar(tag: bytes, body: bytes) -> object:
    if tag == b"b":
        return body
    if tag == b"i":
        if not 0 < len(body) <= MAX_INT_BYTES:
            raise Malformed("an int of a length that is never written")
        return int.from_bytes(body, "little", signed=True)
    try:
        return body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise Malformed("text that is not UTF-8") from error


def _read_container(tag: bytes, data: bytes, at: int, size: int, depth: int) -> tuple[object, int]:
    entries = []
    for _ in range(size * 2 if tag == b"d" else size):
        entry, at = _read(data, at, depth)
        entries.append(entry)
    if tag == b"l":
        return entries, at
    if tag == b"t":
        return tuple(entries), at
    try:
        if tag == b"S":
            return set(entries), at
        return dict(zip(entries[::2], entries[1::2], strict=True)), at
    except TypeError as error:
        raise Malformed("a key that cannot be hashed") from error
