"""One made-up run and its report, shared by the tests of a session; who changes a run copies it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regimen.plan import Plan
from regimen.report.run_report import write_report
from regimen.results import RunFolder
from tests.support import made_reports
from tests.support.browser_pages import chromium


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A started browser."""
    with chromium() as started:
        yield started


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A tab of 1280 x 900 that notes complaints and requests, and may not reach the network."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    opened = context.new_page()
    opened.complaints, opened.asked = [], []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    yield opened
    context.close()
