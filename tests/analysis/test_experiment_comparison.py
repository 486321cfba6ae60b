"""Two experiments side by side, as values and as the command shows them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from regimen.analysis.evidence import Evidence
from regimen.analysis.experiment_comparison import compare_experiments
from regimen.analysis.records import to_json
from regimen.analysis.rules import Rules
from regimen.cli.compare import compare
from regimen.errors import UsageError
from regimen.results.tables import RunTables
from tests.support.simulated_runs import without

RULES = Rules(seed=1, resamples=300, swaps=999)


def compared(evidence: Evidence, one: str, other: str, tasks: Sequence[str] = ()) -> dict[str, Any]:
    """The comparison as `compare --json` prints it."""
    return to_json(compare_experiments(evidence, one, other, tasks))


def test_what_differs_in_two_recipes(fast_run: RunTables) -> None:
    found = compared(Evidence(fast_run, RULES), "3a-financial-sentiment", "3b-all-sentiment")
    fields = {row["field"]: (row["a"], row["b"]) for row in found["recipe"]}
    assert fields["strategy"] == ("direct fine-tuning", "multi-task")
    assert fields["legs.1"] == (
        "finetune fingpt-sentiment:100, 20 steps",
        "finetune fingpt-sentiment:30 twitter-sentiment:30 imdb:40, 48 steps",
    )
    assert fields["seeds"] == ("17, 18, 19", "17"), "of all runs of the recipe"


def test_differences_are_the_cells_and_turn_with_the_order(fast_run: RunTables) -> None:
    evidence = Evidence(fast_run, RULES)
    there = compared(evidence, "3a-financial-sentiment", "zero-shot", ["imdb", "text-financial"])
    back = compared(evidence, "zero-shot", "3a-financial-sentiment", ["imdb", "text-financial"])
    for row, turned in zip(there["tasks"], back["tasks"], strict=True):
        sign = -1 if row["metric"] == "bits-per-byte" else 1
        assert row["estimate"] == pytest.approx(sign * (row["a"] - row["b"]))
        assert row["estimate"] == pytest.approx(-turned["estimate"])
        assert row["p"] == turned["p"]
        assert row["statement"].endswith(f"adjusted {row['p_adjusted']:.2g}")


def test_a_missing_score_is_not_yet_and_an_unknown_name_is_refused(fast_run: RunTables) -> None:
    less = without(fast_run, lambda cell: cell.experiment == "3a-financial-qa" and cell.task == "imdb")
    evidence = Evidence(less, RULES)
    rows = {row["task"]: row for row in compared(evidence, "3a-financial-qa", "zero-shot")["tasks"]}
    assert rows["imdb"]["statement"] == "not yet"
    assert rows["imdb"]["a"] is None
    assert rows["sst2"]["status"] == "tested"
    with pytest.raises(UsageError, match="no experiment '3a-financial'; there is"):
        compared(evidence, "3a-financial", "zero-shot")
    with pytest.raises(UsageError, match="no task 'imbd'; there is imdb"):
        compared(evidence, "3a-financial-qa", "zero-shot", ["imbd"])


def test_the_command_prints_one_document(fast_run: RunTables) -> None:
    command = [sys.executable, "-m", "regimen", "compare", "3b-all-qa", "zero-shot", "--task", "sst2", "--json"]
    command += ["--run", str(fast_run.folder.path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout)["tasks"][0]["task"] == "sst2"


def test_the_command_draws_for_people(fast_run: RunTables, capsys: pytest.CaptureFixture[str]) -> None:
    compare("3b-all-qa", "zero-shot", [fast_run.folder.path], ["sst2"])
    shown = capsys.readouterr().out
    assert "3b-all-qa - zero-shot (positive: the first is better)" in shown
    assert "exact McNemar" in shown
    assert "multi-task" in shown
