"""What all tests share: a small study, a tiny model, the folder of real rows if it is there."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import SHARED
from tests.support.row_files import write_mirror
from tests.support.shared_folders import made_once, number_of_this_process, shared_folder

# Before torch is imported: the models of most tests are so small that threads would only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_configure() -> None:
    """Each test process keeps to one core: the runs that it starts count one, and the others' threads are no matter."""
    number = number_of_this_process()
    if number is not None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick files first; then those with most slow tests, so that no test process is left alone with one at the end.

    Coverage is that of the quick tests: to follow every line makes a slow one half as slow again.
    """
    slow = Counter[Path]()
    for item in items:
        if item.get_closest_marker("soak") and "REGIMEN_SOAK" not in os.environ:
            item.add_marker(pytest.mark.skip(reason="takes minutes by itself: `make soak` runs it"))
        if item.get_closest_marker("slow"):
            slow[item.path] += 1
            item.add_marker("no_cover")
    items.sort(key=lambda item: (slow[item.path] > 0, -slow[item.path]))


def pytest_collection_finish() -> None:
    """All that was imported stays to the end: the garbage collector need not go through it during every test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def real_rows() -> Path:
    """Real rows in the mirror layout, beside the checkout; tests that need them are skipped where they are not."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("no folder of real rows beside the checkout")
    return folder


@pytest.fixture(scope="session")
def mirrored_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of every data set in the mirror layout: the real ones, or, where there are none, the miniature's."""
    folder = SHARED / "data"
    return folder if folder.is_dir() else made_once(tmp_path_factory, "mirrored-rows", write_mirror)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests never touch the user's cache; all test processes share one of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REGIMEN_CACHE", str(shared_folder(tmp_path_factory) / "regimen-cache"))
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield
