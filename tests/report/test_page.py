"""The page as a file: links that arrive, nothing that data could break, "not yet" where there is nothing."""

from __future__ import annotations

import csv
import filecmp
import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from regimen.analysis.findings import Problem
from regimen.plan import Plan, PrepareSpec, compile_plan
from regimen.report.html_page import render, render_page
from regimen.report.run_reading import read
from regimen.report.run_report import page_context, write_report
from regimen.results import RunFolder
from regimen.results.tables import COLUMNS
from regimen.study import load_study
from tests.support import made_reports
from tests.support.inline_runs import change_facts
from tests.support.made_reports import HOSTILE, Page

VERDICTS = {"yes", "no", "depends", "undecided"}
EIGHT_MB = 8 * 1024 * 1024


def verdicts(page: Path) -> list[str]:
    return re.findall(r'<span class="verdict v-[a-z-]+">([a-z ]+)</span>', page.read_text(encoding="utf-8"))


def test_every_link_arrives_and_no_id_stands_twice(page: Path) -> None:
    read = Page(page.read_text(encoding="utf-8"))
    assert len(read.ids) == len(set(read.ids))
    inside = [link[1:] for link in read.links]
    assert all(link.startswith("#") for link in read.links), "the page points out of itself"
    assert sorted(set(inside) - set(read.ids)) == []
    assert len(inside) > 300


def test_every_trained_experiment_has_a_section_with_recipe_scores_and_samples(page: Path, plan: Plan) -> None:
    text = page.read_text(encoding="utf-8")
    for planned in plan.experiments:
        section = text.split(f'<details id="x-{planned.experiment.id}">', 1)[1].split("</article>", 1)[0]
        if planned.experiment.legs:
            assert "epochs of it" in section
            assert "<svg" in section
            for source in planned.experiment.legs[0].mixture:
                assert source in section
        assert "What the model said" in section
        assert "zero-shot" in section


def test_the_page_asks_the_network_for_nothing(page: Path) -> None:
    read = Page(page.read_text(encoding="utf-8"))
    policy = next(a["content"] for tag, a in read.tags if tag == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert not [tag for tag, attrs in read.tags if "src" in attrs or tag in ("link", "iframe", "object", "base")]


def test_the_same_run_gives_the_same_bytes(finished: RunFolder, plan: Plan, tmp_path: Path) -> None:
    again = tmp_path / "copy"
    shutil.copytree(finished.path, again)
    shutil.rmtree(again / "report")
    write_report(RunFolder(again), plan)
    names = sorted(p.relative_to(finished.report) for p in finished.report.rglob("*") if p.is_file())
    assert {"index.html", "report.md", "results.csv", "findings.json", "tables.tex"} <= {str(name) for name in names}
    assert names == sorted(p.relative_to(again / "report") for p in (again / "report").rglob("*") if p.is_file())
    assert [name for name in names if not filecmp.cmp(finished.report / name, again / "report" / name, False)] == []


def test_an_empty_run_says_not_yet_everywhere(plan: Plan, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(plan.study, plan, {"compile": plan.options.to_json()})
    page = write_report(folder, plan)
    assert set(verdicts(page)) <= {"not yet", "not identifiable"}
    assert verdicts(page).count("not yet") >= 4, "RQ4 and RQ5 are not identifiable before anything runs"
    read = Page(page.read_text(encoding="utf-8"))
    assert sorted({link[1:] for link in read.links} - set(read.ids)) == []
    assert list(csv.reader((folder.report / "results.csv").read_text().splitlines())) == [list(COLUMNS)]


@pytest.mark.parametrize("seed", range(3))
def test_a_run_with_any_part_missing_still_reports_and_claims_nothing_without_data(
    seed: int, finished: RunFolder, plan: Plan, tmp_path: Path
) -> None:
    lost = random.Random(seed)
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, folder.path)
    for stage in plan.stages.values():
        if lost.random() < (0.3, 0.6, 0.95)[seed]:
            shutil.rmtree(folder.folder(stage).path)
    page = write_report(folder, plan)
    read = Page(page.read_text(encoding="utf-8"))
    assert sorted({link[1:] for link in read.links} - set(read.ids)) == []
    assert "not yet" in read.text
    found = json.loads((folder.report / "findings.json").read_text())
    for question in found["questions"]:
        if any(entry.get("estimate") is None for entry in question["contrasts"] if entry.get("status") == "not yet"):
            assert question["verdict"] not in VERDICTS


def test_text_from_data_stays_text(tmp_path: Path) -> None:
    plan = made_reports.few(made_reports.hostile_study())
    folder = made_reports.run_of(plan, tmp_path / "run", items=4)
    made_reports.make_hostile(folder, plan)
    page = write_report(folder, plan)
    read = Page(page.read_text(encoding="utf-8"))
    assert not [tag for tag, attrs in read.tags if tag == "img" or any(name.startswith("on") for name in attrs)]
    scripts = [attrs for tag, attrs in read.tags if tag == "script"]
    assert {attrs.get("type") for attrs in scripts} == {None, "application/json", "application/octet-stream"}
    assert sum("type" not in attrs for attrs in scripts) == 1
    assert HOSTILE in read.text, "the text itself is shown"
    assert "49" not in re.findall(r"onerror=alert\(1\)&gt;(\d+)", page.read_text(encoding="utf-8"))
    table = (folder.report / "report.md").read_text(encoding="utf-8")
    assert "<img" not in re.sub(r"\\<", "", table)
    tex = (folder.report / "tables.tex").read_text(encoding="utf-8")
    assert r"\textbackslash{}" in tex
    assert HOSTILE not in tex


def test_damaged_item_rows_cost_the_samples_and_nothing_else(finished: RunFolder, plan: Plan, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, folder.path)
    stage = plan.stages[next(p for p in plan.experiments if p.experiment.id == "3a-sst2").evaluations["math"]]
    (folder.folder(stage).path / "items.parquet").write_bytes(b"PAR1 no more")
    text = write_report(folder, plan).read_text(encoding="utf-8")
    section = text.split('<details id="x-3a-sst2">', 1)[1].split("</article>", 1)[0]
    assert "What the model said" in section
    assert "<b>Math reasoning</b> <span" not in section


def test_marks_stand_where_the_corrected_p_value_is_small_and_nowhere_else(finished: RunFolder, page: Path) -> None:
    rows = list(csv.DictReader((finished.report / "results.csv").read_text().splitlines()))
    tested = {(r["experiment"], r["task"]): float(r["p_adjusted"]) for r in rows if r["p_adjusted"]}
    marked = set()
    for planned, cells in re.findall(r'<tr data-phase="[^"]+" data-id="([^"]+)">(.*?)</tr>', heat_table(page), re.S):
        for link, words in re.findall(r'<a href="#x-[^"]+--([a-z0-9-]+)"[^>]*>([^<]+)</a>', cells):
            marked |= {(planned, link)} if words.endswith("*") else set()
    assert marked == {key for key, p in tested.items() if p <= 0.05 and key[1] in main_tasks(page)}
    assert 0 < len(marked) < len(tested)
    bold = re.findall(r"<td><b>(&lt; 0\.\d+|0\.\d+|1\.000)</b></td>", page.read_text(encoding="utf-8"))
    assert all(value.startswith("&lt;") or float(value) <= 0.05 for value in bold)
    short = (finished.report / "report.md").read_text(encoding="utf-8").split("## Scores")[1].split("## Prov")[0]
    assert short.count("\\* |") == len(marked)


def heat_table(page: Path) -> str:
    return page.read_text(encoding="utf-8").split('<section id="change">')[1].split("</section>")[0]


def main_tasks(page: Path) -> set[str]:
    return set(re.findall(r'href="#x-[^"]+--([a-z0-9-]+)"', heat_table(page)))


def test_what_was_dropped_stood_in_or_needs_no_model_is_told(finished: RunFolder, plan: Plan, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, folder.path)
    stage = next(s for s in plan.stages.values() if isinstance(s, PrepareSpec) and s.source_name == "glue-sst2")
    place = folder.folder(stage)
    change_facts(
        place, rows=70, drops={"holds a test item": 2}, stand_in="GLUE as of 2019", digest="abc123", leaks="off"
    )
    drop = {"file": "f", "row": 1, "reason": "holds a test item", "task": "sst2", "how": "13 words in a row"}
    (place.path / "drops.jsonl").write_text((json.dumps(drop) + "\n") * 2 + json.dumps({"reason": "empty"}) + "\n")
    read = Page(write_report(folder, plan).read_text(encoding="utf-8"))
    assert "glue-sst2 finetune sst2 13 words in a row 2" in read.text
    assert "Stand-in: GLUE as of 2019" in read.text
    assert "No test items were looked for in the rows of glue-sst2 (leaks: off)" in read.text
    assert "abc123" in read.text
    assert "most frequent class 0.300" in read.text
    assert "TF-IDF, trained 0.700" in read.text


def test_refused_statistics_are_told(finished: RunFolder, plan: Plan) -> None:
    """Two items of one id once cost a task its intervals without a word."""
    reading = read(finished, plan)
    problem = Problem("2b-fiqa-5k", "sst2", "task sst2: 2b-fiqa-5k has item s:0 more than once; an item counts once")
    method = replace(reading.findings.method, problems=[problem])
    context = page_context(replace(reading, findings=replace(reading.findings, method=method)))
    told = "No intervals and tests for 2b-fiqa-5k on GLUE SST-2: task sst2: 2b-fiqa-5k has item s:0 more than once"
    assert told in Page(render_page(context)).text
    assert told in render("report.md.jinja", context)


@pytest.mark.slow
def test_the_whole_plan_stays_under_eight_megabytes(tmp_path: Path) -> None:
    plan = compile_plan(load_study("qwen2-finance", "demo"))
    folder = made_reports.run_of(plan, tmp_path / "run", items=8)
    page = write_report(folder, plan)
    assert page.stat().st_size < EIGHT_MB
    assert len(re.findall(r'<article class="experiment"', page.read_text(encoding="utf-8"))) == 73


def test_lines_stand_beside_the_scores_in_every_format(finished: RunFolder, page: Path) -> None:
    short = (finished.report / "report.md").read_text(encoding="utf-8").split("## Scores")[1]
    head = next(line for line in short.splitlines() if line.startswith("| experiment"))
    place = [cell.strip() for cell in head.split("|")].index("GLUE SST-2")
    told = {
        cells[1].strip(" *"): cells[place].strip()
        for line in short.splitlines()
        if len(cells := line.split("|")) > place
    }
    values = {
        row["experiment"]: float(row["value"])
        for row in csv.DictReader((finished.report / "results.csv").read_text().splitlines())
        if row["task"] == "sst2" and row["primary"] == "True"
    }
    assert told["most frequent class"] == "0.300"
    assert told["TF-IDF, trained"] == "0.700"
    assert told["the base, 5-shot"] == f"{values['1-sst2:5-shot']:.3f}"
    assert told["zero-shot"] == f"{values['1-sst2']:.3f}"
    text = " ".join(Page(page.read_text(encoding="utf-8")).text.split())
    assert "most frequent class 0." in text
    assert "the base, 5-shot 0." in text
