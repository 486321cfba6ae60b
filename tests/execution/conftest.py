"""Undisturbed runs, that all disturbed ones must equal; who changes one copies it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.run_processes import ARGUMENTS, SMALL, finish
from tests.support.shared_folders import made_once


def undisturbed(out: Path, arguments: list[str]) -> None:
    done = finish(out, arguments=arguments)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "calm", lambda out: undisturbed(out, ARGUMENTS))


@pytest.fixture(scope="session")
def small_calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "small-calm", lambda out: undisturbed(out, SMALL))
