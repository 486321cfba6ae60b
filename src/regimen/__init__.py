"""regimen: finds out, for a small language model and a domain, which way of training it works best.

The public face is the names in `__all__`; everything else is private and may move. Importing this module
loads neither torch nor pandas: each name is fetched from its home at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regimen.api import RunSummary, run
    from regimen.errors import RegimenError, StudyError
    from regimen.opened_run import Run, open_run
    from regimen.plan import Plan, compile_plan
    from regimen.study import Study, load_study

__version__ = "0.1.0"

__all__ = [
    "Plan",
    "RegimenError",
    "Run",
    "RunSummary",
    "Study",
    "StudyError",
    "compile_plan",
    "load_study",
    "open_run",
    "run",
]

_HOMES = {
    "Plan": "regimen.plan",
    "compile_plan": "regimen.plan",
    "Study": "regimen.study",
    "load_study": "regimen.study",
    "RegimenError": "regimen.errors",
    "StudyError": "regimen.errors",
    "Run": "regimen.opened_run",
    "RunSummary": "regimen.api",
    "open_run": "regimen.opened_run",
    "run": "regimen.api",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'regimen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
