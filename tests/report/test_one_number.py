"""A walk over everything that the page holds: no two places give different numbers for one thing.

results.csv and findings.json are the two sources. What the table of results holds is compared with them elsewhere
(`test_page`); here every other place is compared with the table and with the findings.
"""

from __future__ import annotations

import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from regimen.results import RunFolder, better_sign
from tests.support.made_reports import Page, packed_data


@pytest.fixture(scope="module")
def found(finished: RunFolder) -> Any:
    return json.loads((finished.report / "findings.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def section(text: str, name: str) -> str:
    """The HTML of a section."""
    return text.split(f'<section id="{name}"')[1].split("</section>")[0]


@pytest.fixture(scope="module")
def scores(page: Path) -> dict[tuple[str, str], float]:
    """(row, task) -> headline score in the table of results."""
    table = packed_data(page, "results")
    metrics = {task["id"]: task["metrics"][0]["name"] for task in table["tasks"]}
    return {
        (row["id"], task): value
        for task, metric in metrics.items()
        for row, value in zip(table["rows"], table["scores"][task][metric]["value"], strict=True)
        if value is not None
    }


def test_comparisons(page: Path, found: Any, scores: dict[tuple[str, str], float]) -> None:
    pairs = packed_data(page, "compare")
    for task in pairs["tasks"]:
        for end, value in zip(pairs["ends"], task["values"], strict=True):
            if (end["id"], task["id"]) in scores and value is not None:
                assert value == pytest.approx(scores[end["id"], task["id"]], rel=1e-5)
    declared = {
        (one["pairs"][0]["of"], one["pairs"][0]["against"], one["pairs"][0]["task"]): one
        for question in found["questions"] for one in question["contrasts"]
        if one["status"] == "tested" and len(one["pairs"]) == 1
    }  # fmt: skip
    assert pairs["tested"]
    for one in pairs["tested"]:
        same = declared.get((one["a"], one["b"], one["task"]))
        if same:
            assert (one["difference"], one["low"], one["high"], one["p"]) == pytest.approx(
                (same["estimate"], same["low"], same["high"], same["p_adjusted"])
            )
            assert one["outcome"] == same["outcome"]


def test_answers_of_items(page: Path, scores: dict[tuple[str, str], float]) -> None:
    counted = 0
    for place, head in enumerate(packed_data(page, "items")):
        task = packed_data(page, f"items-{place}")
        assert (task["id"], task["total"]) == (head["id"], head["total"])
        for end in task["ends"]:
            if (end["id"], task["id"]) in scores:
                counted += 1
                assert end["value"] == pytest.approx(scores[end["id"], task["id"]], rel=1e-5)
    assert counted > 50


def test_curves_and_recipes(page: Path) -> None:
    rows = {row["id"]: row for row in packed_data(page, "results")["rows"]}
    curves = {curve["id"]: curve for curve in packed_data(page, "curves")["curves"]}
    for name, recipe in packed_data(page, "recipes").items():
        facts = dict(recipe["facts"])
        assert int(facts["steps"].replace(",", "")) == rows[name]["steps"]
        assert float(facts["GPU-hours planned"]) == pytest.approx(rows[name]["hours"], abs=0.005)
        own, last = [leg["steps"] for leg in recipe["legs"]], recipe["legs"][-1]
        assert sum({leg["leg"]: leg["steps"] for leg in recipe["legs"]}.values()) == rows[name]["steps"], own
        if name in curves:
            assert curves[name]["title"] == rows[name]["title"]
            assert curves[name]["last"] == last["loss"]
            assert curves[name]["steps"][-1] == rows[name]["steps"]


def test_intervals_of_cards_stand_in_evidence_and_in_the_findings(text: str, found: Any) -> None:
    cards = section(text, "overview")
    evidence = unescape(section(text, "evidence"))
    shown = 0
    for question in found["questions"]:
        for row in (question["plot"] or {"rows": []})["rows"][:4]:
            numbers = f"{row['estimate']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
            assert numbers in unescape(cards), (question["id"], row["label"])
            assert numbers in evidence, (question["id"], row["label"])
            shown += 1
    assert shown >= 6


def test_the_gate_the_strategies_and_the_floors(
    text: str, found: Any, scores: dict[tuple[str, str], float], page: Path
) -> None:
    overview, evidence = Page(section(text, "overview")).text, Page(section(text, "evidence")).text
    gate = found["gate"]
    assert f"promising? {gate['decision']} {gate['next']}" in overview
    assert f"{gate['decision']} Promising? {gate['rule']} {gate['next']}" in evidence
    for row in found["taxonomy"]:
        if row["mean_normalised_gain"] is not None:
            done = f"{row['strategy']} {len(row['experiments'])} of {row['planned']} {row['mean_normalised_gain']:+.3f}"
            assert done in evidence
    table = packed_data(page, "results")
    tasks = {task["id"]: task["metrics"][0]["name"] for task in table["tasks"] if task["panel"] == "main"}
    trained = [row["id"] for row in table["rows"] if not row["pinned"]]
    both = [task for task in tasks if ("tfidf", task) in scores and any((name, task) in scores for name in trained)]
    wins = [
        task for task in both
        if better_sign(tasks[task]) * scores["tfidf", task]
        > max(better_sign(tasks[task]) * scores[name, task] for name in trained if (name, task) in scores)
    ]  # fmt: skip
    assert f"tasks where TF-IDF wins {len(wins)} of {len(both)}" in overview
    if wins:
        assert f"beats every trained model on {len(wins)} of {len(both)} classification tasks" in overview


def test_the_tested_are_counted_alike(text: str, found: Any) -> None:
    overview = Page(section(text, "overview")).text
    tested = [one for question in found["questions"] for one in question["contrasts"] if one["status"] == "tested"]
    undecided = sum(one["outcome"] == "undecided" for one in tested)
    assert f"{undecided} of {len(tested)} tested comparisons are undecided" in overview
    smallest = min(one["mde"] for one in tested if one["mde"] is not None)
    words = f"minimum detectable effect {smallest:.3f} in the most sensitive of {len(tested)} tested comparisons"
    assert words in overview


def test_report_md_has_the_same_answers(finished: RunFolder, found: Any) -> None:
    short = (finished.report / "report.md").read_text(encoding="utf-8").replace("\\", "")
    for question in found["questions"]:
        assert f"| {question['id']} {question['question']} | **{question['verdict']}** |" in short
        for one in question["contrasts"]:
            if one["status"] == "tested":
                assert f"{one['estimate']:+.3f} | {one['low']:+.3f} to {one['high']:+.3f} |" in short
