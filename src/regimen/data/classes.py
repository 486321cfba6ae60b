"""Owns: which class a row's cell is. Does not know: templates, prompts, files."""

from __future__ import annotations

import bisect
import math

from regimen.data.row import Row
from regimen.data.row_fault import RowFault
from regimen.study.sources import Label


def class_of(label: Label, row: Row) -> int:
    """The index of the row's class among `label.choices`; raises RowFault for a value that is none.

    A cell is matched as it is written first (a map's keys, a list's own names), then as a number: 1, 1.0, "1" and true
    are one class. Where a list's names are numbers themselves, in another order than their places, a number is a name
    and never a place: of the names "1", "2", "3" the cell 1 is the first, and 0 is none. Null is none.
    """
    if label.column not in row:
        raise RowFault(label.column, sorted(row), "is what the row has; the label's column is missing")
    value = row[label.column]
    if label.bins:
        number = None if isinstance(value, bool) else _number(value)
        if number is None:
            raise RowFault(label.column, value, "is not a number to put into bins")
        name = _names(label)[bisect.bisect_right(label.bins, number)]
    elif isinstance(label.names, dict):
        name = _named(label.names, value)
        if name is None:
            raise RowFault(label.column, value, f"is none of {', '.join(label.names)}")
    else:
        name = _listed_name(label.names, value)
        if name is None:
            raise RowFault(label.column, value, _not_listed(label.names, value))
    return label.choices.index(name)


def _named(names: dict[str, str], value: object) -> str | None:
    """The name that a map gives to a cell."""
    key = _matched(tuple(names), value)
    return None if key is None else names[key]


def _listed_name(names: tuple[str, ...], value: object) -> str | None:
    """The name in a list that a cell is, or whose place it is."""
    if not _are_places(names) or (isinstance(value, str | bool) and _as_written(names, value) is not None):
        return _matched(names, value)
    number = _number(value)
    return names[int(number)] if number is not None and number in range(len(names)) else None


def _are_places(names: tuple[str, ...]) -> bool:
    """Whether a number can only mean a place in the list: no name is the number of another place."""
    return all(_number(name) in (None, place) for place, name in enumerate(names))


def _not_listed(names: tuple[str, ...], value: object) -> str:
    listed = ", ".join(names)
    if not _are_places(names):
        return f"is none of {listed} (they are numbers, so it is not read as a place in the list)"
    named = f" and none of {listed}" if isinstance(value, str) and value.strip() else ""
    return f"is not a class id from 0 to {len(names) - 1}{named}"


def _matched(names: tuple[str, ...], value: object) -> str | None:
    """The name that a cell is as it is written, or the only one of the same number."""
    if (name := _as_written(names, value)) is not None:
        return name
    number = _number(value)
    same = [] if number is None else [name for name in names if _number(name) == number]
    return same[0] if len(same) == 1 else None


def _as_written(names: tuple[str, ...], value: object) -> str | None:
    written = (str(value).strip(), str(value).lower()) if isinstance(value, bool) else (str(value).strip(),)
    return next((text for text in written if text in names), None)


def _number(value: object) -> float | int | None:
    """A cell as a finite number, None for what is none."""
    if isinstance(value, int):
        return value
    try:
        number = float(value) if isinstance(value, float | str) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _names(label: Label) -> tuple[str, ...]:
    return label.names if isinstance(label.names, tuple) else tuple(label.names.values())
