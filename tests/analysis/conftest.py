"""One simulated run of the whole study for all tests of findings."""

from __future__ import annotations

import pytest

from regimen.plan import Plan, compile_plan
from regimen.results.tables import RunTables
from regimen.study import load_study
from tests.support.simulated_runs import simulate, skill


@pytest.fixture(scope="session")
def full_plan() -> Plan:
    return compile_plan(load_study("qwen2-finance", "demo"))


@pytest.fixture(scope="session")
def full_run(full_plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> RunTables:
    """All 72 experiments, 40 items a task."""
    return simulate(tmp_path_factory.mktemp("full") / "run", full_plan, skill, items=40)


@pytest.fixture(scope="session")
def fast_run(tmp_path_factory: pytest.TempPathFactory) -> RunTables:
    """The fast track, 40 items a task."""
    plan = compile_plan(load_study("qwen2-finance", "demo"), track="fast")
    return simulate(tmp_path_factory.mktemp("fast") / "run", plan, skill, items=40)
