"""One simulated run of the whole study for all tests of findings."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import pytest

from regimen.plan import Plan, compile_plan
from regimen.results.tables import Cell, RunTables
from regimen.study import load_study
from tests.analysis.simulated import simulate

SKILLS = {"2": 0.4, "3": 0.75, "c": 0.7}


def skill(end: str, task: str) -> float:
    """Zero-shot and tasks that nobody learns 0.3; pretrained 0.4; fine-tuned 0.75."""
    return 0.3 if end == "zero-shot" or task in ("math", "code") else SKILLS.get(end[0], 0.3)


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


def without(tables: RunTables, gone: Callable[[Cell], bool] | Iterable[str]) -> RunTables:
    """The run as it was before some cells (or whole experiments) were done."""
    chosen = gone if callable(gone) else lambda cell, names=frozenset(gone): cell.experiment in names
    less = copy.copy(tables)
    less.cells = {key: cell for key, cell in tables.cells.items() if not chosen(cell)}
    return less
