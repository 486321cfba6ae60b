"""For papers and for sending on: SVGs that stand alone, PNGs by a browser, LaTeX, Markdown, a page for two."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from regimen.analysis.evidence import Evidence
from regimen.analysis.experiment_comparison import (
    ExperimentComparison,
    RecipeDifference,
    TaskDifference,
    compare_experiments,
)
from regimen.errors import UsageError
from regimen.plan import Plan
from regimen.report import paper
from regimen.report.comparison_page import comparison_page
from regimen.report.run_report import write_report
from regimen.results import RunFolder
from regimen.results.tables import RunTables
from tests.support import made_reports
from tests.support.made_reports import HOSTILE, Page


def test_the_main_figures_are_files_that_need_nothing(finished: RunFolder) -> None:
    found = {path.stem for path in (finished.report / "figures").glob("*.svg")}
    assert {"change-by-task", "learning-curves", "gantt-planned", "gantt-actual", "transfer"} <= found
    for path in (finished.report / "figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
        assert root.get("width"), "a file of its own has a size"
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
        assert "href" not in text
        assert "var(" not in text


def test_latex_tables_balance_and_escape(finished: RunFolder) -> None:
    text = (finished.report / "tables.tex").read_text(encoding="utf-8")
    assert text.count(r"\begin{") == text.count(r"\end{") == 4
    assert len(re.findall(r"(?<!\\)\{", text)) == len(re.findall(r"(?<!\\)\}", text))
    scores = text.split(r"\midrule")[2].split(r"\bottomrule")[0].strip().splitlines()
    assert {line.count(" & ") for line in scores} == {10}
    assert paper.latex("50% of $x_1 & #2 {a} ~ ^ \\") == (
        r"50\% of \$x\_1 \& \#2 \{a\} \textasciitilde{} \textasciicircum{} \textbackslash{}"
    )


def test_png_without_a_browser_is_refused_before_anything_is_written(
    finished: RunFolder, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="--png needs a browser .*; install one, or use the SVGs"):
        paper.write_paper(tmp_path / "report", {}, [], png=True)
    assert not (tmp_path / "report").exists()


def test_png_is_a_picture_of_the_svg(finished: RunFolder, tmp_path: Path) -> None:
    try:
        browser = paper.find_browser()
    except UsageError:
        pytest.skip("no Chromium on the PATH")
    svg = finished.report / "figures" / "gantt-planned.svg"
    paper.rasterise(browser, svg, tmp_path / "one.png")
    data = (tmp_path / "one.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    width = int.from_bytes(data[16:20], "big")
    assert width == 900 * paper.SCALE


def test_figures_of_an_earlier_report_do_not_stay(plan: Plan, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(plan.study, plan, {})
    figures = folder.report / "figures"
    figures.mkdir(parents=True)
    for name in ("old.svg", "gantt-planned.png", "mine.txt"):
        (figures / name).write_text("old")
    write_report(folder, plan)
    found = {path.name for path in figures.iterdir()}
    assert "gantt-planned.svg" in found
    assert not found & {"old.svg", "gantt-planned.png"}
    assert "mine.txt" in found


def test_two_experiments_have_a_page(finished: RunFolder, plan: Plan) -> None:
    evidence = Evidence(RunTables(finished, plan))
    found = compare_experiments(evidence, "3a-sst2", "3a-financial-sentiment")
    text = comparison_page(found)
    read = Page(text)
    assert "Recipes: what differs" in read.text
    for row in found.tasks:
        assert row.task in read.text
    tested = [row.comparison for row in found.tasks if row.comparison]
    assert tested
    assert f"{tested[0].estimate:+.3f}" in read.text
    assert comparison_page(found) == text


def test_a_comparison_shows_hostile_names_as_text_and_claims_nothing_without_data() -> None:
    row = TaskDifference(HOSTILE, "accuracy", None, 0.5, None, "not yet")
    text = comparison_page(ExperimentComparison(HOSTILE, "b", [RecipeDifference("f", HOSTILE, None)], [row]))
    read = Page(text)
    assert not [tag for tag, _ in read.tags if tag == "img"]
    assert HOSTILE in read.text
    assert "not yet" in read.text


def test_markdown_of_a_hostile_run_has_no_markup_of_its_own(tmp_path: Path) -> None:
    plan = made_reports.few(made_reports.hostile_study())
    folder = RunFolder(tmp_path / "run")
    folder.create(plan.study, plan, {})
    write_report(folder, plan)
    text = (folder.report / "report.md").read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert re.search(r"(?<!\\)<", text) is None
