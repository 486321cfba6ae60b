"""`regimen compare` on a terminal: every number once, the task's names whole at 80 columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from regimen.api import load_and_compile
from regimen.cli.app import app
from tests.support.made_reports import run_of


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_everything_is_there_once(columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    plan = load_and_compile("qwen2-finance", profile="demo", only=["3a-sst2", "3b-glue"])
    run_of(plan, tmp_path / "run")
    arguments = ["compare", "3a-sst2", "3b-glue", "--run", str(tmp_path / "run")]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    assert max(len(line) for line in shown.output.splitlines()) <= columns
    words = " ".join(shown.output.split())
    assert "3a-sst2 - 3b-glue (positive: the first is better)" in words
    if columns >= 80:
        for task in plan.study.panel("main"):
            assert words.split().count(task) == 1, task
    assert shown.output.count("95% interval") == 1
