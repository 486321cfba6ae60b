"""Recipes of two run folders: the same numbers as within one, and refusals where the runs were not asked the same."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from regimen.analysis.across_runs import Side, compare_across
from regimen.analysis.evidence import Evidence
from regimen.analysis.experiment_comparison import compare_experiments, unlike_tokenizers
from regimen.analysis.rules import Rules
from regimen.api import open_run
from regimen.cli.app import app
from regimen.digests import Digests
from regimen.errors import UsageError
from regimen.files import write_json
from regimen.plan import compile_plan
from regimen.results import layout
from regimen.results.stage_folder import read_outcome
from regimen.results.tables import RunTables
from regimen.study import load_study
from tests.support.simulated_runs import simulate

RULES = Rules(seed=1, resamples=300, swaps=999)
SEEDS = {"3a-math": 0.9, "3a-math~s18": 0.5, "3a-math~s19": 0.4}


def made(folder: Path, items: int = 60) -> Path:
    only = ["1-math", "1-sst2", *SEEDS, "3a-sst2"]
    plan = compile_plan(load_study("qwen2-finance", "demo"), only=only, tasks=["math", "sst2"])
    simulate(folder, plan, lambda end, task: SEEDS.get(end, 0.3), items=items)
    return folder


def evidence_of(folder: Path) -> Evidence:
    opened = open_run(folder)
    return Evidence(RunTables(opened.folder, opened.plan), RULES)


def side(folder: Path, name: str) -> Side:
    return Side(evidence_of(folder), name, folder.name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("runs")
    one = made(folder / "one")
    shutil.copytree(one, folder / "other")
    return one, folder / "other"


def test_across_runs_is_as_within_one_and_seeds_are_one_recipe(runs: tuple[Path, Path]) -> None:
    within = {row.task: row for row in compare_experiments(evidence_of(runs[0]), "3a-math", "3a-sst2").tasks}
    across = {row.task: row for row in compare_across(side(runs[0], "3a-math"), side(runs[1], "3a-sst2")).tasks}
    assert {task for task, row in within.items() if row.comparison} == set(across) == {"math", "sst2"}
    for task, row in across.items():
        assert row.comparison is not None
        same = within[task].comparison
        assert same is not None
        assert (row.a, row.b, row.runs) == (within[task].a, within[task].b, within[task].runs)
        assert row.comparison.estimate == pytest.approx(same.estimate)
        assert row.comparison.items == same.items
    evidence = evidence_of(runs[0])
    scores = [value.point for run in SEEDS if (value := evidence.value(run, "math"))]
    assert across["math"].a == pytest.approx(sum(scores) / 3), "the mean over seeds, never the luckiest"
    assert across["math"].runs == (3, 1)
    tested = across["math"].comparison
    assert tested is not None
    assert tested.low < tested.estimate - (max(scores) - min(scores)) / 2, "seeds that disagree widen the interval"


def test_a_further_runs_id_is_that_run_alone(runs: tuple[Path, Path]) -> None:
    row = compare_experiments(evidence_of(runs[0]), "3a-math~s18", "zero-shot", ["math"]).tasks[0]
    value = evidence_of(runs[0]).value("3a-math~s18", "math")
    assert value is not None
    assert row.a == pytest.approx(value.point)
    assert row.runs == (1, 1)
    assert row.statement.startswith("In this one run, ")


def test_other_items_are_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    fewer = made(tmp_path / "fewer", items=50)
    with pytest.raises(UsageError, match=r"task math: fewer:3a-math\S* has 50 items and one:3a-math\S* 60"):
        compare_across(side(runs[0], "3a-math"), side(fewer, "3a-math"))


def test_a_task_that_was_asked_in_other_words_is_refused_in_its_row(runs: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copytree(runs[0], tmp_path / "run")
    cell = evidence_of(tmp_path / "run").cell("3a-sst2", "math")
    assert cell is not None
    path = cell.folder / layout.ITEM_ROWS
    table = pq.read_table(path)
    place = table.schema.get_field_index("prompt_hash")
    table = table.set_column(
        place, "prompt_hash", pa.array([f"{value}x" for value in table["prompt_hash"].to_pylist()])
    )
    pq.write_table(table, path)
    outcome = read_outcome(cell.folder)
    write_json(cell.folder / layout.OUTCOME, replace(outcome, files={path.name: Digests().of(path)}).to_json())
    rows = {row.task: row for row in compare_across(side(runs[0], "3a-math"), side(tmp_path / "run", "3a-sst2")).tasks}
    assert rows["sst2"].status == "tested"
    assert rows["math"].status == "refused"
    assert "the two runs did not ask item" in rows["math"].statement


def test_perplexity_is_refused_over_two_tokenizers() -> None:
    sides = [
        SimpleNamespace(tables=SimpleNamespace(base_of=lambda _, name=name: SimpleNamespace(id=name))) for name in "ab"
    ]
    one, other = ((cast("Any", evidence), "x") for evidence in sides)
    assert unlike_tokenizers(one, other, "perplexity") == (
        "perplexity hangs on the tokenizer, and the bases are a and b; use bits-per-byte"
    )
    assert unlike_tokenizers(one, other, "bits-per-byte") is None
    assert unlike_tokenizers(one, one, "perplexity") is None


def test_the_command_takes_two_folders_either_way(runs: tuple[Path, Path]) -> None:
    one, other = map(str, runs)
    ways = (
        ["compare", f"{one}:3a-math", f"{other}:zero-shot", "--json"],
        ["compare", "3a-math", "zero-shot", "--run", one, "--run", other, "--json"],
    )
    outputs = [CliRunner().invoke(app, list(way)) for way in ways]
    assert [output.exit_code for output in outputs] == [0, 0], outputs[0].output
    assert outputs[0].stdout == outputs[1].stdout
    for wrong in (["3a-math", "zero-shot"], [f"{one}:3a-math", "zero-shot"]):
        refused = CliRunner().invoke(app, ["compare", *wrong])
        assert isinstance(refused.exception, UsageError)
        assert "name no run folder; add --run OUT" in str(refused.exception)
