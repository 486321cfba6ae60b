"""A recipe of several runs is one row wherever recipes stand: the mean over seeds and its interval, no lucky seed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from regimen.plan import Plan, compile_plan
from regimen.report.run_reading import Reading, read
from regimen.report.run_report import write_report
from regimen.report.score_tables import heat_matrix, leaderboard
from regimen.results import RunFolder
from regimen.study import load_study
from tests.support.simulated_runs import simulate

SKILLS = {"3a-math": 0.9, "3a-math~s18": 0.4, "3a-math~s19": 0.35, "3a-sst2": 0.6}
TASKS = ["math", "sst2"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Plan, Reading]:
    """The first run of three is by far the best: who shows it alone shows the luckiest."""
    out = tmp_path_factory.mktemp("one-recipe") / "run"
    only = ["1-math", "1-sst2", *SKILLS]
    plan = compile_plan(load_study("qwen2-finance", "demo"), only=only, tasks=TASKS)
    simulate(out, plan, lambda end, task: SKILLS.get(end, 0.3), items=60)
    folder = RunFolder(out)
    write_report(folder, plan)
    return folder, plan, read(folder, plan)


def values(reading: Reading, task: str, what: str) -> list[float]:
    return [getattr(row, what) for row in reading.rows if row.recipe == "3a-math" and row.task == task and row.primary]


def mean(numbers: list[float]) -> float:
    assert len(numbers) == 3
    return sum(numbers) / 3


def test_the_leaderboard_has_one_row_whose_ends_are_means(made: tuple[RunFolder, Plan, Reading]) -> None:
    reading = made[2]
    rows = {row.id: row for row in leaderboard(reading)}
    assert set(rows) == {"3a-math", "3a-sst2"}
    row = rows["3a-math"]
    assert row.mean.runs == 3
    changes = [mean(values(reading, task, "delta")) for task in TASKS]
    assert row.mean.mean == pytest.approx(sum(changes) / 2)
    assert [row.best.change, row.worst.change] == pytest.approx([max(changes), min(changes)])


@pytest.mark.parametrize("name", ["report.md", "tables.tex"])
def test_written_tables_hold_the_mean_and_its_interval(made: tuple[RunFolder, Plan, Reading], name: str) -> None:
    folder, _, reading = made
    text = (folder.report / name).read_text(encoding="utf-8").replace("\\[", "[").replace("\\]", "]")  # of Markdown
    assert not re.search(r"s18|s19", text), "no run stands there as a recipe"
    (line,) = [line for line in text.splitlines() if "3a-math (3 runs)" in line and "[" in line]
    for task in TASKS:
        score = mean(values(reading, task, "value"))
        assert re.search(rf"{score:.3f} \[-?\d\.\d+ to \d\.\d+\]", line), (task, line)
    low, high = (float(one) for one in re.findall(r"\[(-?\d\.\d+) to (\d\.\d+)\]", line)[TASKS.index("math")])
    spread = values(reading, "math", "value")
    assert high - low > 0.5 * (max(spread) - min(spread)), "the interval holds the seeds too"


def test_transfer_and_figures_are_of_recipes(made: tuple[RunFolder, Plan, Reading]) -> None:
    folder, _, reading = made
    found: Any = json.loads((folder.report / "findings.json").read_text(encoding="utf-8"))["transfer"]
    cells = {(cell["experiment"], cell["tested_on"]): cell for cell in found}
    assert set(cells) == {(name, task) for name in ("3a-math", "3a-sst2") for task in TASKS}
    cell = cells["3a-math", "math"]
    assert (cell["runs"], cell["p_adjusted"]) == (3, None)
    assert cell["delta"] == pytest.approx(mean(values(reading, "math", "delta")))
    assert cell["low"] < 0 < cell["high"], "seeds that disagree so much leave it open"
    assert not cell["clear"]
    assert cells["3a-sst2", "sst2"]["runs"] == 1
    matrix = heat_matrix(reading)
    assert matrix is not None
    assert matrix.rows == ("3a-math", "3a-sst2")


def test_results_csv_keeps_every_run_and_names_its_recipe(made: tuple[RunFolder, Plan, Reading]) -> None:
    import pandas as pd

    frame: Any = pd.read_csv(Path(made[0].report) / "results.csv")
    own = frame[(frame.recipe == "3a-math") & (frame.task == "math") & frame.primary]
    assert sorted(own.seed) == [17, 18, 19]
    assert list(own.experiment) == ["3a-math", "3a-math~s18", "3a-math~s19"]
