"""One file a command."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

_COMMANDS = (
    "init",
    "plan",
    "run",
    "status",
    "gate",
    "report",
    "compare",
    "export",
    "bench",
    "serve",
    "mirror",
    "doctor",
    "data",
    "metrics",
)


def commands() -> dict[str, Callable[..., Any]]:
    """The commands by name, each the function of its name in its module."""
    return {name: getattr(import_module(f"regimen.cli.{name}"), name) for name in _COMMANDS}
