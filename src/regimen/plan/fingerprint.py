"""Fingerprints: the same literals give the same name, on any machine, in any process.

Owns the canonical form of a value and its digest. A value without a stable form (a set, an object, a NaN) is
refused. Does not know what is fingerprinted.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from regimen.errors import StudyError

LENGTH = 12


def canonical(value: Any) -> str:
    """`value` as JSON with sorted keys and no blanks; raises StudyError for a value without a stable form."""
    return json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def fingerprint(value: Any) -> str:
    """The first 12 hex digits of the SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(value).encode("ascii")).hexdigest()[:LENGTH]


def fingerprint_around(value: Mapping[str, object], prepared: Mapping[str, str]) -> str:
    """The fingerprint of `value` with more keys, whose values are given in canonical form already.

    What many stages have in common is so brought into that form once.
    """
    texts = {**{key: canonical(item) for key, item in value.items()}, **prepared}
    text = ",".join(f"{json.dumps(key)}:{texts[key]}" for key in sorted(texts))
    return hashlib.sha256(f"{{{text}}}".encode("ascii")).hexdigest()[:LENGTH]


def _plain(value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise StudyError(path, [f"{value} cannot be fingerprinted; write a finite number"])
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise StudyError(path, ["only text keys can be fingerprinted"])
        return {key: _plain(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
    raise StudyError(path, [f"a {type(value).__name__} cannot be fingerprinted; write a plain literal"])
