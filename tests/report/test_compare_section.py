"""Compare: differences and intervals of any pair agree with the analysis; two experiments have a page of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from regimen.analysis.experiment_comparison import compare_experiments
from regimen.cli.app import app
from regimen.plan import Plan
from regimen.report import shell
from regimen.report.compare_section import PairedTask, Pairs, compare_section
from regimen.report.comparison_page import compared_runs, comparison_page
from regimen.report.curves_section import curves_section
from regimen.report.items_section import items_section
from regimen.report.results_section import results_section
from regimen.report.run_reading import Reading, read
from regimen.results import RunFolder
from tests.support.made_reports import HOSTILE, packed_data
from tests.support.patience import patient

A, B = "3a-sst2", "3a-financial-sentiment"


@pytest.fixture(scope="module")
def reading(finished: RunFolder, plan: Plan) -> Reading:
    return read(finished, plan)


@pytest.fixture(scope="module")
def pairs(reading: Reading) -> Pairs:
    section = compare_section(reading)
    assert section is not None
    found = section.blocks["compare"]
    assert isinstance(found, Pairs)
    return found


@pytest.fixture(scope="module")
def place(reading: Reading, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of Compare with the sections that it draws from."""
    build = (compare_section, results_section, items_section, curves_section)
    sections = [section for one in build if (section := one(reading)) is not None]
    path = tmp_path_factory.mktemp("compare") / "page.html"
    path.write_text(shell.page("Compare", sections), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def two(finished: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that the command writes."""
    path = tmp_path_factory.mktemp("two") / "two.html"
    shown = CliRunner().invoke(app, ["compare", A, B, "--run", str(finished.path), "--html", str(path)])
    assert shown.exit_code == 0, shown.output
    return path


def _task(pairs: Pairs, name: str) -> PairedTask:
    return next(task for task in pairs.tasks if task.id == name)


def test_every_pair_has_its_difference_and_the_width_that_its_draws_give(reading: Reading, pairs: Pairs) -> None:
    ids = [end.id for end in pairs.ends]
    assert ids[0] == "zero-shot"
    assert len(set(ids)) == len(ids)
    checked = 0
    for task in pairs.tasks:
        for at, row in enumerate(task.widths):
            for offset, width in enumerate(row):
                gain = reading.evidence.gain(ids[at], ids[at + 1 + offset], task.id)
                one, other = task.values[at], task.values[at + 1 + offset]
                if gain is None or one is None or other is None:
                    assert width is None
                    continue
                assert width is not None
                assert (-1 if task.less else 1) * (one - other) == pytest.approx(gain.point, abs=2e-5)
                bent = gain.interval()
                half = width * task.fine
                assert half == pytest.approx(gain._reach(0.95) * gain.se, abs=1.01 * task.fine)
                if half > 0.05:  # BCa bends, but about as far
                    assert half == pytest.approx((bent.high - bent.low) / 2, rel=0.25)
                checked += 1
    assert checked > 200


def test_half_widths_of_equal_end_points_are_zero_and_of_all_pairs_symmetric(reading: Reading) -> None:
    half = reading.evidence.draws("sst2").half_widths()
    assert np.array_equal(half, half.T)
    assert np.array_equal(np.diag(half), np.zeros(len(half)))


def test_declared_contrasts_of_two_experiments_keep_their_numbers(reading: Reading, pairs: Pairs) -> None:
    declared = {
        (str(pair.of), str(pair.against), pair.task): judged.comparison
        for answer in reading.findings.questions
        for judged in answer.contrasts
        if judged.comparison and len(judged.contrast.pairs) == 1
        for pair in judged.contrast.pairs
    }
    assert declared
    assert {(one.a, one.b, one.task) for one in pairs.tested} == set(declared)
    for one in pairs.tested:
        tested = declared[one.a, one.b, one.task]
        assert (one.difference, one.low, one.high, one.p, one.outcome) == (
            tested.estimate, tested.low, tested.high, tested.p_adjusted, tested.outcome)  # fmt: skip


def _rows(tab: Any) -> dict[str, list[str]]:
    """Task -> cells of the table of differences."""
    found = tab.eval_on_selector_all(
        "#compare [aria-label='Differences by task'] tbody tr",
        "rows => rows.map(r => [r.cells[0].firstChild.textContent, ...[...r.cells].slice(1).map(c => c.innerText)])",
    )
    return {cells[0]: cells for cells in found}


def _go(tab: Any, place: Path, address: str) -> None:
    tab.goto("about:blank")
    tab.goto(f"{place.as_uri()}#compare?{address}")
    tab.wait_for_selector("#compare.drawn", timeout=patient(30_000))


def test_the_page_shows_the_same_numbers_as_results(tab: Any, place: Path, reading: Reading) -> None:
    _go(tab, place, f"a={A}&b=zero-shot")
    row = reading.row(A, "sst2")
    assert row is not None
    assert row.delta is not None
    cells = _rows(tab)[reading.plan.study.tasks["sst2"].title]
    assert cells[1:4] == [f"{row.value:.3f}", f"{row.baseline:.3f}", f"{row.delta:+.3f}"]
    assert cells[5] == f"{row.delta_ci_low:+.3f} to {row.delta_ci_high:+.3f}"
    _go(tab, place, f"a=zero-shot&b={A}")
    turned = _rows(tab)[reading.plan.study.tasks["sst2"].title]
    assert turned[3] == f"{-row.delta:+.3f}"
    assert row.delta_ci_low is not None
    assert row.delta_ci_high is not None
    assert turned[5] == f"{-row.delta_ci_high:+.3f} to {-row.delta_ci_low:+.3f}"
    assert {cells[6].split(",")[0], turned[6].split(",")[0]} in ({"better", "worse"}, {"undecided"})
    assert tab.complaints == []


def test_a_pair_that_nothing_tested_says_so_and_shows_what_differs(tab: Any, place: Path, reading: Reading) -> None:
    _go(tab, place, f"a={A}&b={B}")
    tab.wait_for_selector("#compare .plot canvas", timeout=patient(30_000))
    gain = reading.evidence.gain(A, B, "sst2")
    assert gain is not None
    cells = _rows(tab)[reading.plan.study.tasks["sst2"].title]
    assert cells[3] == f"{gain.point:+.3f}"
    assert cells[6] == "not tested"
    assert f"regimen compare {A} {B}" in tab.inner_text("#compare")
    recipe = tab.inner_text("#compare [aria-label='Recipes: what differs']")
    assert "glue-sst2" in recipe
    assert "seed" not in recipe, "what is the same is not listed"
    drawn = tab.evaluate(
        "document.querySelector('#compare .plot').plot.series.filter(one => one.kind === 'loss').length"
    )
    assert drawn == 2


def test_flipped_items_are_those_that_one_answers_rightly_and_the_other_not(
    tab: Any, place: Path, reading: Reading
) -> None:
    _go(tab, place, f"a={A}&b={B}&task=sst2&show=ba")
    tab.wait_for_selector("#compare [aria-label='Flipped items by task']", timeout=patient(30_000))
    tab.wait_for_selector("#compare [aria-label='Items that flipped']", timeout=patient(30_000))
    task = next(one for name, one in _blocks(place).items() if name == "sst2")
    one, other = (next(end["score"] for end in task["ends"] if end["id"] == name) for name in (A, B))
    wanted = [item for item, x, y in zip(task["items"], one, other, strict=True) if y > x]
    listed = tab.eval_on_selector_all(
        "#compare [aria-label='Items that flipped'] tbody th small", "all => all.map(e => e.textContent)"
    )
    assert listed == wanted != []
    title = reading.plan.study.tasks["sst2"].title
    line = tab.eval_on_selector_all(
        "#compare [aria-label='Flipped items by task'] tbody tr",
        "rows => rows.map(r => [...r.cells].map(c => c.innerText))",
    )
    better = sum(x > y for x, y in zip(one, other, strict=True))
    assert next(cells[1:4] for cells in line if cells[0] == title) == [
        str(better), str(len(wanted)), str(len(one) - better - len(wanted))]  # fmt: skip
    tab.click("#compare [aria-label='Items that flipped'] tbody th a >> nth=0")
    tab.wait_for_selector("#items .panel", timeout=patient(30_000))
    assert wanted[0] in tab.inner_text("#items .panel h3")
    assert tab.complaints == []


def _blocks(place: Path) -> dict[str, Any]:
    listed = packed_data(place, "items")
    return {one["id"]: packed_data(place, f"items-{at}") for at, one in enumerate(listed)}


def test_the_state_is_in_the_address_and_swapping_turns_everything(tab: Any, place: Path) -> None:
    _go(tab, place, f"a={A}&b={B}&show=ab&task=sst2")
    before = _rows(tab)
    tab.click("#compare button:text-is('Swap A and B')")
    tab.wait_for_function(f"() => location.hash.includes('a={B}') && location.hash.includes('show=ba')")
    first = "#compare [aria-label='Differences by task'] tbody tr"
    tab.wait_for_function(
        "([at, was]) => document.querySelector(at).cells[1].innerText === was",
        arg=[first, next(iter(before.values()))[2]],
    )
    for title, cells in _rows(tab).items():
        if cells[0] != "axis":
            assert cells[1:3] == before[title][2:0:-1]
    tab.select_option("#compare .controls select >> nth=0", "zero-shot")
    tab.wait_for_function("() => location.hash.includes('a=zero-shot')")
    _go(tab, place, "a=nobody&b=zero-shot")
    assert "Not in this page: nobody." in tab.inner_text("#compare .warning")
    assert tab.complaints == []


def test_the_command_writes_a_page_with_the_tests_of_the_pair(tab: Any, two: Path, reading: Reading) -> None:
    found = compare_experiments(reading.evidence, A, B)
    _go(tab, two, "")
    tab.wait_for_selector("#compare [aria-label='Items that flipped']", timeout=patient(30_000))
    rows = _rows(tab)
    for row in found.tasks:
        cells = rows[reading.plan.study.tasks[row.task].title]
        if row.comparison is None:
            assert row.statement in cells[3]
            continue
        tested = row.comparison
        rough = "about " if tested.approximate else ""
        assert cells[3] == f"{tested.estimate:+.3f}"
        assert cells[5] == f"{rough}{tested.low:+.3f} to {tested.high:+.3f}"
        assert cells[6].startswith(f"{tested.outcome}, p ")
    assert tab.evaluate("[...document.querySelectorAll('nav a')].map(a => a.textContent)") == [
        "Compare",
        "Items",
        "Curves",
    ]
    tab.evaluate("location.hash = 'items'")
    tab.wait_for_selector("#items.drawn .tabulator-row")
    assert tab.evaluate("document.querySelectorAll('#items .picker .chosen').length") == 2
    tab.emulate_media(media="print")
    assert tab.evaluate("document.querySelector('#compare .still table').checkVisibility()")
    assert tab.complaints == []
    assert two.stat().st_size < 1_000_000


def test_the_page_of_two_has_the_answers_and_losses_of_these_two_alone(two: Path) -> None:
    for task in _blocks(two).values():
        assert [end["id"] for end in task["ends"]] == sorted([A, B], key=[end["id"] for end in task["ends"]].index)
        assert {end["id"] for end in task["ends"]} <= {A, B}
    assert {curve["id"] for curve in packed_data(two, "curves")["curves"]} == {A, B}


def test_two_runs_are_told_apart_by_the_names_of_the_comparison(reading: Reading) -> None:
    found = compare_experiments(reading.evidence, A, B)
    sides = compared_runs(found, (reading.tables, A), (reading.tables, "zero-shot"))
    assert [side.experiment for side in sides] == [A, "zero-shot"]
    assert {end.id for side in sides for end in side.scored()} == {A, B}, "under the comparison's names"
    assert HOSTILE not in comparison_page(found, sides)
