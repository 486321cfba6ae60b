"""What several test processes (pytest-xdist) have in common: a folder, and things that only one of them makes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def number_of_this_process() -> int | None:
    """0, 1, ... among several test processes; None where there is only one."""
    name = os.environ.get("PYTEST_XDIST_WORKER")
    return int(name.removeprefix("gw")) if name else None


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder of this call of pytest, the same in all its processes."""
    own = factory.getbasetemp()
    return own if number_of_this_process() is None else own.parent


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name`, made by the process that asks for it first; the others wait and must not write to it."""
    folder = shared_folder(factory) / name
    with FileLock(folder.with_suffix(".lock")):
        if not folder.with_suffix(".made").exists():
            make(folder)
            folder.with_suffix(".made").touch()
    return folder
