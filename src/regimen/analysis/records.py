"""Findings as JSON: one way from frozen values to findings.json and to what the commands print.

Owns the cutting of numbers and which fields a JSON object leaves out. Does not know what any value means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from pydantic import BaseModel

from regimen.study import EndPoint

DIGITS = 10  # significant digits of every number, so that equal inputs give equal bytes on any machine
OMITTED = {"omitted": True}  # metadata of a dataclass field that its JSON object leaves out while it is None
T = TypeVar("T")


@dataclass(frozen=True)
class Size:
    """The items under a number, and the clusters in which they lie."""

    items: int
    clusters: int


@runtime_checkable
class HasRecord(Protocol):
    """A value whose JSON object is not simply its fields."""

    def record(self) -> Mapping[str, object]:
        """The JSON object's keys and values, in order."""
        ...


def cut(value: T) -> T:
    """The value with every finite float inside it cut to `DIGITS` significant digits; types stay."""
    return cast(T, _cut(value))


def _cut(value: object) -> object:
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.{DIGITS}g}") + 0.0  # + 0.0 makes -0 a 0
    if isinstance(value, Mapping):
        return {key: _cut(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_cut, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _cut(getattr(value, one.name)) for one in fields(value)})
    return value


def to_json(value: object) -> Any:
    """The value as JSON holds it: dataclasses become objects, tuples lists, numbers that are not finite null."""
    if value is None or type(value) in (int, str, bool):  # most of all values; the checks below are slow
        return value
    if type(value) is float:
        return value if math.isfinite(value) else None
    if type(value) in (list, tuple):
        return [to_json(inner) for inner in cast(Sequence[object], value)]
    if isinstance(value, EndPoint):
        return str(value)
    if isinstance(value, HasRecord):
        return to_json(value.record())
    if is_dataclass(value) and not isinstance(value, type):
        shown = [(one, getattr(value, one.name)) for one in fields(value)]
        return {one.name: to_json(inner) for one, inner in shown if inner is not None or "omitted" not in one.metadata}
    if isinstance(value, Mapping):
        return {str(key): to_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(inner) for inner in value]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return None if isinstance(value, float) and not math.isfinite(value) else value
