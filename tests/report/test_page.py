"""The page as a file: links that arrive, one number in every place, nothing that data could break, "not yet"."""

from __future__ import annotations

import csv
import filecmp
import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from regimen.analysis.findings import Problem
from regimen.plan import Plan, PrepareSpec, compile_plan
from regimen.report import shell
from regimen.report.html_page import render
from regimen.report.run_reading import read
from regimen.report.run_report import short_context, write_report
from regimen.report.sections import sections_of
from regimen.results import RunFolder, better_sign
from regimen.results.tables import COLUMNS
from regimen.study import load_study
from tests.support import made_reports
from tests.support.inline_runs import change_facts
from tests.support.made_reports import HOSTILE, Page, packed_data

VERDICTS = {"yes", "no", "depends", "undecided"}
TWO_MB = 2 * 1024 * 1024


def verdicts(page: Path) -> list[str]:
    """The chips of the cards."""
    part = page.read_text(encoding="utf-8").split('<section id="results"')[0]
    return re.findall(r'<span class="chip chip-[a-z-]+">([a-z ]+)</span>', part)


def table(report: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """results.csv by (experiment, task, metric)."""
    rows = csv.DictReader((report / "results.csv").read_text(encoding="utf-8").splitlines())
    return {(row["experiment"], row["task"], row["metric"]): row for row in rows}


def arrives(page: Path) -> None:
    """Every link leads to a part of the page, and to an experiment that it knows."""
    seen = Page(page.read_text(encoding="utf-8"))
    assert len(seen.ids) == len(set(seen.ids))
    assert all(link.startswith("#") for link in seen.links), "the page points out of itself"
    known = packed_data(page, "recipes")
    for link in seen.links:
        name, _, query = link[1:].partition("?")
        assert name in seen.ids, link
        assert {one for values in parse_qs(query).values() for one in values} <= set(known), link


def test_every_link_arrives_and_no_id_stands_twice(page: Path) -> None:
    arrives(page)
    assert len(Page(page.read_text(encoding="utf-8")).links) > 100


def expected_titles(shown: dict[str, Any], task: str, metric: str) -> dict[str, str]:
    """What the overview's picture of a task must say, from the data of the table of results (up is better)."""
    values = dict(zip([row["id"] for row in shown["rows"]], shown["scores"][task][metric]["value"], strict=True))
    names = {"zero-shot": "zero-shot", "5-shot": "5-shot", "tfidf": "TF-IDF", "chance": "chance"}
    found = {name: f"{metric} {values[row]:.3f}" for row, name in names.items() if values.get(row) is not None}
    strategies: dict[str, dict[str, float]] = {}
    for row in shown["rows"]:
        if not row["pinned"] and values[row["id"]] is not None:
            strategies.setdefault(row["strategy"], {})[row["id"]] = values[row["id"]]
    for name, scores in strategies.items():
        best, mean = max(scores, key=lambda one: scores[one]), sum(scores.values()) / len(scores)
        found[name] = f"best {metric} {scores[best]:.3f} ({best}), mean of {len(scores)} {mean:.3f}"
    return found


def test_no_two_places_give_different_numbers(finished: RunFolder, page: Path, plan: Plan) -> None:
    """results.csv and findings.json are the two sources; everything that the page holds is one of theirs."""
    rows, shown = table(finished.report), packed_data(page, "results")
    places = {row["id"]: at for at, row in enumerate(shown["rows"])}
    counted = 0
    for task, metrics in shown["scores"].items():
        for metric, column in metrics.items():
            for name, at in places.items():
                source = rows.get((name, task, metric)) or rows.get((f"1-{task}:{name}", task, metric))
                if source is None:
                    continue
                counted += 1
                assert column["value"][at] == pytest.approx(float(source["value"]), rel=1e-5)
                for key, of in (("low", "ci_low"), ("high", "ci_high"), ("p", "p_adjusted"), ("n", "n")):
                    known = column[key][at]
                    assert ("" if known is None else known) == (
                        source[of] and pytest.approx(float(source[of]), rel=1e-5)
                    )
                if source["delta"] and name != "zero-shot":
                    change = better_sign(metric) * float(source["delta"])
                    assert column["change"][at] == pytest.approx(change, rel=1e-4, abs=1e-9)
    assert counted > 100
    text = page.read_text(encoding="utf-8")
    drawn = re.findall(r'<figure data-task="([^"]+)">(.*?)</figure>', text, re.S)
    assert [task for task, _ in drawn] == list(plan.study.panel("main"))
    for task, picture in drawn:
        titles = dict(one.split(": ", 1) for one in re.findall("<title>([^<]+)</title>", picture))
        assert titles == expected_titles(shown, task, plan.study.tasks[task].headline)
    means = {row["id"]: row["mean"] for row in shown["rows"] if row["mean"] is not None}
    short = (finished.report / "report.md").read_text(encoding="utf-8").split("## Leaderboard")[1].split("## Scores")[0]
    told = dict(re.findall(r"^\| ([a-z0-9-]+) \| ([+-][0-9.]+) \|", short.replace("\\", ""), re.M))
    assert told == {name: f"{100 * mean:+.1f}" for name, mean in means.items()}
    assert f"{max(means.values()):+.3f}" in text.split('<section id="results"')[0]


def test_cards_and_evidence_say_what_the_findings_say(finished: RunFolder, page: Path) -> None:
    found = json.loads((finished.report / "findings.json").read_text(encoding="utf-8"))
    first, rest = page.read_text(encoding="utf-8").split('<section id="results"')
    cards, evidence = Page(first).text, Page(rest.split('<section id="evidence"')[1].split("</section>")[0]).text
    assert verdicts(page) == [question["verdict"] for question in found["questions"]]
    for question in found["questions"]:
        assert question["headline"] in cards
        assert question["headline"] in evidence
        for one in question["contrasts"]:
            if one["status"] == "tested":
                assert f"{one['estimate']:+.3f} {one['low']:+.3f} to {one['high']:+.3f} {one['outcome']}" in evidence


def test_every_trained_experiment_has_a_panel_with_its_recipe(page: Path, plan: Plan) -> None:
    recipes = packed_data(page, "recipes")
    assert set(recipes) == {planned.experiment.id for planned in plan.experiments if planned.experiment.legs}
    for planned in plan.experiments:
        for number, leg in enumerate(planned.experiment.legs, start=1):
            legs = [one for one in recipes[planned.experiment.id]["legs"] if one["leg"] == number]
            assert {one["source"]: one["share"] for one in legs} == pytest.approx(leg.shares)


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
    assert verdicts(page).count("not yet") >= 3, "RQ4 and RQ5 are not identifiable before anything runs"
    arrives(page)
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
    arrives(page)
    assert "not yet" in Page(page.read_text(encoding="utf-8")).text
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
    assert {attrs.get("type") for attrs in scripts} == {None, "application/octet-stream"}
    assert sum("type" not in attrs for attrs in scripts) == 2, "the early line and the page's own"
    assert HOSTILE in read.text, "the text itself is shown"
    assert "49" not in re.findall(r"onerror=alert\(1\)&gt;(\d+)", page.read_text(encoding="utf-8"))
    table = (folder.report / "report.md").read_text(encoding="utf-8")
    assert "<img" not in re.sub(r"\\<", "", table)
    tex = (folder.report / "tables.tex").read_text(encoding="utf-8")
    assert r"\textbackslash{}" in tex
    assert HOSTILE not in tex


def test_marks_stand_where_the_corrected_p_value_is_small_and_nowhere_else(finished: RunFolder, page: Path) -> None:
    rows, shown = table(finished.report), packed_data(page, "results")
    small = {
        (name, task) for (name, task, metric), row in rows.items()
        if row["primary"] == "True" and row["p_adjusted"] and float(row["p_adjusted"]) <= shown["alpha"]
    }  # fmt: skip
    titles = {row["id"] for row in shown["rows"] if not row["pinned"]}
    main = [task["id"] for task in shown["tasks"] if task["panel"] == "main"]
    want = sum(name in titles and task in main for name, task in small)
    plain = page.read_text(encoding="utf-8").split('<table class="grid">')[1].split("</table>")[0]
    body = "".join(re.findall(r"<tr>.*?</tr>", plain.split("<tbody>")[1], re.S))
    assert body.count("*</td>") == want
    assert 0 < want < len(titles) * len(main)
    short = (finished.report / "report.md").read_text(encoding="utf-8").split("## Scores")[1].split("## Prov")[0]
    assert short.count("\\* |") == want
    bold = re.findall(r"<td><b>(&lt; 0\.\d+|0\.\d+|1\.000)</b></td>", page.read_text(encoding="utf-8"))
    assert all(value.startswith("&lt;") or float(value) <= 0.05 for value in bold)


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
    assert "Most frequent class" in read.text
    assert "TF-IDF" in read.text


def test_refused_statistics_are_told(finished: RunFolder, plan: Plan) -> None:
    """Two items of one id once cost a task its intervals without a word."""
    reading = read(finished, plan)
    problem = Problem("2b-fiqa-5k", "sst2", "task sst2: 2b-fiqa-5k has item s:0 more than once; an item counts once")
    method = replace(reading.findings.method, problems=[problem])
    changed = replace(reading, findings=replace(reading.findings, method=method))
    told = "No intervals and tests for 2b-fiqa-5k on GLUE SST-2: task sst2: 2b-fiqa-5k has item s:0 more than once"
    assert told in Page(shell.page("t", sections_of(changed))).text
    assert told in render("report.md.jinja", short_context(changed))


@pytest.mark.slow
def test_the_whole_plan_stays_under_two_megabytes(tmp_path: Path) -> None:
    plan = compile_plan(load_study("qwen2-finance", "demo"))
    folder = made_reports.run_of(plan, tmp_path / "run", items=8)
    page = write_report(folder, plan)
    assert page.stat().st_size < TWO_MB
    assert len(packed_data(page, "recipes")) == 62
    text = page.read_text(encoding="utf-8")
    for name in ("overview", "results", "evidence", "appendix"):  # a whole run lacks nothing
        said = Page(text.split(f'<section id="{name}"')[1].split("</section>")[0]).text
        assert [said[max(0, at.start() - 60) : at.end() + 20] for at in re.finditer("not yet", said)] == [], name


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
    assert told["TF-IDF"] == "0.700"
    assert told["the base, 5-shot"] == f"{values['1-sst2:5-shot']:.3f}"
    assert told["zero-shot"] == f"{values['1-sst2']:.3f}"
