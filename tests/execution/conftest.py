"""One undisturbed run, that all disturbed ones must equal."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.execution.runs import SMALL, finish


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calm") / "run"
    done = finish(out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def small_calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("small-calm") / "run"
    done = finish(out, arguments=SMALL)
    assert done.returncode == 0, done.stderr
    return out
