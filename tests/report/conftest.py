"""One made-up run and its report, shared by the tests of a session; who changes a run copies it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from regimen.plan import Plan
from regimen.report.run_report import write_report
from regimen.results import RunFolder
from tests.support import made_reports


@pytest.fixture(autouse=True, scope="session")
def _no_flushing() -> Iterator[None]:
    """Made-up runs are thousands of small files: flushing each to disk would be most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def plan() -> Plan:
    return made_reports.few()


@pytest.fixture(scope="session")
def finished(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = made_reports.run_of(plan, tmp_path_factory.mktemp("report") / "run", items=made_reports.ITEMS)
    write_report(folder, plan)
    return folder


@pytest.fixture(scope="session")
def page(finished: RunFolder) -> Path:
    return finished.report / "index.html"
