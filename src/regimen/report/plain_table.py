"""Parts of the findings as tables, whatever their columns: mixtures, advice, anything new.

Owns the turning of lists of plain values into columns and cells. What is absent gives nothing, and the page then says
"not yet". Does not know what the numbers mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from regimen.report.run_reading import Reading
from regimen.report.words import NOT_YET, known

SIGNED = frozenset({"estimate", "gain", "low", "high", "mean_normalised_gain", "worst_task_gain", "change", "slope"})
NAMES = frozenset({"experiment", "trained", "of", "against", "best", "id", "recipe", "experiments", "names"})


def table(reading: Reading, entries: Sequence[Mapping[str, Any]], skip: Sequence[str] = ()) -> dict[str, Any] | None:
    """{"columns": [...], "rows": [[cell, ...]]}; a cell is text with the experiments that it names."""
    if not entries:
        return None
    columns = [key for key in dict.fromkeys(key for entry in entries for key in entry) if key not in skip]
    columns = [key for key in columns if any(_is_shown(entry.get(key)) for entry in entries)]
    rows = [[_cell(reading, key, entry.get(key)) for key in columns] for entry in entries]
    return {"columns": [key.replace("_", " ") for key in columns], "rows": rows}


def _is_shown(value: Any) -> bool:
    """Whether a value fits a cell: long series and nested objects are drawn or told elsewhere."""
    if isinstance(value, Mapping):
        return 0 < len(value) <= 4 and all(not isinstance(v, Mapping | list) for v in value.values())
    if isinstance(value, list):
        return 0 < len(value) <= 40 and all(not isinstance(v, Mapping | list) for v in value)
    return value is not None


def _cell(reading: Reading, key: str, value: Any) -> dict[str, Any]:
    parts = value if isinstance(value, list) else [value]
    if key in NAMES and all(isinstance(part, str) for part in parts):
        return {"words": "", "names": parts, "number": False}
    return {"words": _words(key, value), "names": [], "number": known(value) or key.endswith("_ci")}


def _words(key: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOT_YET
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:+.3f}" if key in SIGNED else f"{value:.4g}"
    if isinstance(value, list):
        joint = " to " if len(value) == 2 and all(known(part) for part in value) else ", "
        return joint.join(_words(key, part) for part in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(key, part)}" for name, part in value.items())
    return str(value)
