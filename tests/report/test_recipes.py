"""Recipes that were trained with several seeds: one row each with mean and interval, whose runs fold out."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from regimen.plan import compile_plan
from regimen.report.run_report import write_report
from regimen.study import load_study
from tests.support import made_reports
from tests.support.browser_pages import go, names
from tests.support.made_reports import Page, packed_data

ONLY = ("1-*", "3a-math", "3a-math~s18", "3a-math~s19", "3a-sst2")


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run in which one recipe was trained with three seeds and one with one."""
    plan = compile_plan(load_study("qwen2-finance", "demo"), only=ONLY)
    return write_report(made_reports.run_of(plan, tmp_path_factory.mktemp("seeds") / "run", items=40), plan)


def test_a_recipe_has_one_row_with_the_mean_over_its_runs(seeded: Path) -> None:
    table = packed_data(seeded, "results")
    rows = [row for row in table["rows"] if not row["pinned"]]
    assert [(row["id"], row["runs"], row["of"]) for row in rows] == [
        ("3a-math", 3, ""),
        ("3a-math", 0, "3a-math"),
        ("3a-math~s18", 0, "3a-math"),
        ("3a-math~s19", 0, "3a-math"),
        ("3a-sst2", 0, ""),
    ]
    lines = csv.DictReader((seeded.parent / "results.csv").read_text().splitlines())
    runs = [float(line["value"]) for line in lines if line["recipe"] == "3a-math" and line["task"] == "math"
            and line["primary"] == "True"]  # fmt: skip
    assert len(runs) == 3
    scores = table["scores"]["math"][next(iter(table["scores"]["math"]))]
    at = table["rows"].index(rows[0])
    assert scores["value"][at] == pytest.approx(fmean(runs), rel=1e-5)
    assert scores["low"][at] < fmean(runs) < scores["high"][at]
    assert scores["change"][at] == pytest.approx(fmean(scores["change"][at + 1 : at + 4]), rel=1e-4)
    plain = Page(seeded.read_text(encoding="utf-8").split('<table class="grid">')[1].split("</table>")[0]).text
    assert plain.count("3a-math") == 1
    assert "3a-math, mean of 3 runs" in plain


def test_runs_fold_out_in_the_table(tab: Any, seeded: Path) -> None:
    tab.goto(seeded.as_uri())
    go(tab, "results")
    assert names(tab) == ["3a-math, mean of 3 runs", "3a-sst2"]
    assert "2 recipes" in tab.text_content("#results output")
    tab.click(".tabulator-data-tree-control")
    tab.wait_for_function("() => document.querySelectorAll('.tabulator-table .named').length === 5")
    assert names(tab) == ["3a-math, mean of 3 runs", "3a-math", "3a-math~s18", "3a-math~s19", "3a-sst2"]
    with tab.expect_download() as taken:
        tab.click("#results button:text-is('CSV')")
    saved = list(csv.reader(Path(taken.value.path()).read_text().splitlines()))
    assert [row[0] for row in saved if row[0].startswith("3a-")] == [
        "3a-math", "3a-math", "3a-math~s18", "3a-math~s19", "3a-sst2",
    ]  # fmt: skip
    go(tab, "results?experiment=3a-math~s18")
    assert "3a-math~s18" in tab.text_content(".panel h3")
    assert tab.complaints == []
