"""What all tests share: a small study, a tiny model, the folder of real rows if it is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before torch is imported: the models of most tests are so small that threads would only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_rows() -> Path:
    """Real rows in the mirror layout, beside the checkout; tests that need them are skipped where they are not."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no folder of real rows beside the checkout")
    return folder


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests never touch the user's cache; they share one of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGIMEN_CACHE", str(tmp_path_factory.getbasetemp() / "regimen-cache"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield
