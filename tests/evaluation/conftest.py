"""The packaged tiny base, with its tokenizer, as the evaluator takes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from regimen.data.tokenizer import TextTokenizer
from regimen.engine.base_model import BaseModel
from regimen.engine.loading import load_base
from regimen.engine.locate import locate_base
from regimen.study import load_study


@pytest.fixture(scope="session")
def tiny_folder() -> Path:
    return locate_base(load_study("qwen2-finance", "demo").base)


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> BaseModel:
    return load_base(tiny_folder, "fp32")


@pytest.fixture(scope="session")
def tokenizer(tiny_folder: Path) -> TextTokenizer:
    return TextTokenizer(tiny_folder)
