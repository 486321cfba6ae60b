"""Small random models of the two architectures that the plan uses, loaded as bases."""

from __future__ import annotations

from pathlib import Path

import pytest

from regimen.engine.base_model import BaseModel
from regimen.engine.loading import load_base
from tests.support.random_models import CONFIGS, save_random


@pytest.fixture(scope="session", params=list(CONFIGS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random(tmp_path_factory.mktemp(request.param), CONFIGS[request.param])


@pytest.fixture(scope="session")
def base(folder: Path) -> BaseModel:
    return load_base(folder, "fp32")
