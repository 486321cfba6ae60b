"""Items: the page's answers are those of the item rows; what is left out is said; filters, search and panels work."""

from __future__ import annotations

from pathlib import Path
from statistics import pvariance
from typing import Any

import pandas as pd
import pytest

from regimen.plan import Plan
from regimen.report import shell
from regimen.report.item_answers import FEWEST, TaskAnswers, task_answers
from regimen.report.items_section import items_section
from regimen.report.payload import packed
from regimen.report.run_reading import Reading, read
from regimen.report.scored_ends import scored_ends
from regimen.results import RunFolder
from tests.support import made_reports

TASK = "financial-sentiment"


@pytest.fixture(scope="module")
def reading(finished: RunFolder, plan: Plan) -> Reading:
    return read(finished, plan)


@pytest.fixture(scope="module")
def place(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of this section alone."""
    section = items_section(reading)
    assert section is not None
    path = tmp_path_factory.mktemp("items") / "page.html"
    path.write_text(shell.page("Items", [section]), encoding="utf-8")
    return path


def _all(reading: Reading, budget: int = 10**9) -> list[TaskAnswers]:
    return task_answers(reading.plan.study.tasks, scored_ends(reading), budget)


def _task(reading: Reading, name: str = TASK, budget: int = 10**9) -> TaskAnswers:
    return next(task for task in _all(reading, budget) if task.id == name)


def test_every_answer_is_that_of_the_item_rows(reading: Reading, finished: RunFolder) -> None:
    seen = 0
    for task in _all(reading):
        assert task.total == len(task.items) == len(task.prompt)
        for end in task.ends:
            rows = pd.read_parquet(finished.path / "stages" / end.folder / "items.parquet").set_index("item_id")
            for at, item in enumerate(task.items):
                row = rows.loc[item]
                assert end.score[at] == pytest.approx(row.to_dict()["score"], abs=1e-4)
                answer = None if end.answer[at] < 0 else task.texts[end.answer[at]]
                assert answer == (row.to_dict()["prediction"] or None)
                assert ("" if task.target[at] < 0 else task.texts[task.target[at]]) == row["target"]
                seen += 1
    assert seen > 1000


def test_the_value_of_a_column_is_that_of_the_results(reading: Reading) -> None:
    for end in _task(reading).ends:
        row = reading.row(end.id, TASK)
        if row is not None:
            assert end.value == pytest.approx(row.value, abs=1e-6)
    assert {"zero-shot", "3a-sst2"} <= {end.id for end in _task(reading).ends}


def test_past_its_budget_a_page_carries_the_most_disagreed_items(reading: Reading) -> None:
    budget = 3 * sum(len(packed(task)) for task in _all(reading)) // 4
    less = [task for task in _all(reading, budget) if len(task.items) < task.total]
    assert sum(len(packed(task)) for task in _all(reading, budget)) <= budget
    assert less
    one = less[0]
    whole = _task(reading, one.id)

    def spread(item: str) -> float:
        at = whole.items.index(item)
        return pvariance([score for end in whole.ends if (score := end.score[at]) is not None])

    left_out = [item for item in whole.items if item not in one.items]
    assert min(map(spread, one.items)) >= max(map(spread, left_out))
    assert list(one.items) == [item for item in whole.items if item in one.items]
    at, before = 3, whole.items.index(one.items[3])
    assert one.texts[one.prompt[at]] == whole.texts[whole.prompt[before]]
    assert [end.score[at] for end in one.ends] == [end.score[before] for end in whole.ends]
    smallest = _all(reading, 1)
    assert {len(task.items) for task in smallest} == {FEWEST}


def test_filters_and_search_show_the_items_that_they_name(tab: Any, place: Path, reading: Reading) -> None:
    task = _task(reading)
    a, b = (next(end for end in task.ends if end.id == name) for name in ("3a-financial-sentiment", "zero-shot"))
    tab.goto(f"{place.as_uri()}#items?task={TASK}&experiments={a.id},{b.id}&show=ab")
    tab.wait_for_selector(".tabulator-row")
    wanted = [item for item, one, other in zip(task.items, a.score, b.score, strict=True) if one == 1 and other == 0]
    assert tab.text_content("output") == f"{len(wanted)} of {task.total} items"
    shown = tab.eval_on_selector_all(".tabulator-row .named small", "all => all.map(e => e.textContent)")
    assert shown == wanted[: len(shown)] != []
    tab.select_option("select >> nth=1", "wrong")
    none = sum(one == other == 0 for one, other in zip(a.score, b.score, strict=True))
    tab.wait_for_function(f"() => document.querySelector('output').textContent === '{none} of {task.total} items'")
    tab.select_option("select >> nth=1", "")
    tab.wait_for_function(f"() => document.querySelector('output').textContent === '{task.total} items'")
    tab.fill("#items input[type=search] >> nth=0", "question 7?")
    assert tab.text_content("output") == f"1 of {task.total} items"
    assert "text=question" in tab.url
    assert tab.complaints == []


def test_an_item_opens_with_every_answer_and_its_address_opens_it_again(
    tab: Any, place: Path, reading: Reading
) -> None:
    task = _task(reading)
    tab.goto(f"{place.as_uri()}#items?task={TASK}")
    tab.click(".tabulator-row >> nth=1")
    panel = tab.wait_for_selector(".panel")
    text = panel.text_content()
    assert "Question 1?\nAnswer:" in text
    assert all(end.title in text for end in task.ends)
    address = tab.url
    assert f"item={task.items[1]}" in address
    tab.keyboard.press("Escape")
    assert tab.query_selector(".panel") is None
    assert tab.evaluate("document.activeElement.closest('.tabulator-row') !== null")
    tab.goto("about:blank")
    tab.goto(address)
    assert tab.wait_for_selector(".panel").text_content() == text
    assert tab.complaints == []


def test_text_from_rows_and_models_is_powerless(tab: Any, tmp_path: Path) -> None:
    plan = made_reports.few(made_reports.hostile_study())
    folder = made_reports.run_of(plan, tmp_path / "run", items=4)
    made_reports.make_hostile(folder, plan)
    section = items_section(read(folder, plan))
    assert section is not None
    place = tmp_path / "page.html"
    place.write_text(shell.page(made_reports.HOSTILE, [section]), encoding="utf-8")
    tab.goto(f"{place.as_uri()}#items")
    tab.click(".tabulator-row >> nth=0")
    assert made_reports.HOSTILE in tab.wait_for_selector(".panel pre").text_content()
    assert tab.query_selector("img") is None
    assert tab.complaints == []


def test_nothing_scored_gives_no_section(plan: Plan, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.stages.mkdir(parents=True)
    assert items_section(read(folder, plan)) is None
