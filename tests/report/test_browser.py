"""The page in a real browser: no network, no complaint, every link, the table, the keyboard, print, the live page."""

from __future__ import annotations

import csv
import re
import shutil
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from regimen.analysis.evidence import Evidence
from regimen.analysis.experiment_comparison import compare_experiments
from regimen.plan import Plan
from regimen.report.comparison_page import compared_runs, comparison_page
from regimen.report.live_page import Watch, make_server
from regimen.report.run_report import write_report
from regimen.results import RunFolder
from regimen.results.tables import RunTables
from tests.support import made_reports
from tests.support.browser_pages import CUT, go, names, shown, tabs
from tests.support.patience import patient


def test_it_opens_from_a_file_paints_fast_and_draws_every_section(tab: Any, page: Path) -> None:
    tab.goto(page.as_uri())
    tab.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
    painted = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert painted < 10_000, "1 s on a quiet machine; tests run on busy ones"
    assert tabs(tab)[:2] == ["overview", "results"]
    for name in tabs(tab):
        go(tab, name)
        assert shown(tab, "main > section") == 1
    assert tab.complaints == []
    assert [url for url in tab.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_link_leads_to_something_that_is_then_shown(tab: Any, page: Path) -> None:
    """Every address on every view: an anchor is shown, a section is drawn from its state without a warning."""
    tab.goto(page.as_uri())
    places = "[...new Set([...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href')))]"
    hashes = set(tab.evaluate(places))
    for name in (*tabs(tab), "results?experiment=3a-sst2", "compare?a=3a-sst2&b=zero-shot"):
        go(tab, name)
        tab.wait_for_timeout(200)
        hashes |= set(tab.evaluate(places))
    assert len(hashes) > 60
    plain = sorted(one for one in hashes if "?" not in one)
    broken = tab.evaluate(
        """async hashes => {
          const broken = [];
          for (const hash of hashes) {
            location.hash = hash;
            dispatchEvent(new HashChangeEvent('hashchange'));
            const target = document.getElementById(decodeURIComponent(hash.slice(1)));
            if (!target || !target.checkVisibility()) broken.push(hash);
          }
          return broken;
        }""",
        plain,
    )
    assert broken == []
    kinds: dict[str, list[str]] = {}
    for one in sorted(hashes - set(plain)):
        kinds.setdefault(re.sub(r"=[^&]*", "=", one), []).append(one)
    for one in [address for alike in kinds.values() for address in alike[:3]]:  # three of each shape
        go(tab, one.removeprefix("#"))
        assert shown(tab, "main .warning") == shown(tab, f"#{one[1:].split('?')[0]} .still .warning"), one
    links = tab.evaluate(
        "[...document.querySelectorAll('a')].filter(a => !/^(#|https:)/.test(a.getAttribute('href') ?? '')).length"
    )
    assert links == 0, "a link leads within the page or to a web address"
    go(tab, "results?experiment=3a-sst2")
    tab.wait_for_function("() => document.activeElement.matches('#results .panel')")
    assert "3a-sst2" in tab.text_content("#results .panel h3")
    assert "glue-sst2 100%" in " ".join(tab.inner_text("#results .panel table").split())
    tab.keyboard.press("Escape")
    tab.wait_for_function("() => !document.querySelector('#results .panel')")
    assert tab.complaints == []


def test_the_table_filters_sorts_and_keeps_its_state_in_the_address(tab: Any, page: Path, finished: RunFolder) -> None:
    tab.goto(page.as_uri())
    go(tab, "results")
    everything = names(tab)
    assert len(everything) > 5
    tab.focus("#results input[type=search]")
    tab.keyboard.type("3A-SST2")
    tab.wait_for_function("() => document.querySelectorAll('.tabulator-table .named').length === 1")
    assert names(tab) == ["3a-sst2"]
    assert "text=3A-SST2" in tab.evaluate("location.hash")
    assert "1 of " in tab.text_content("#results output")
    assert shown(tab, ".tabulator-frozen-rows-holder .tabulator-row") >= 4, "what they are held against stays"
    go(tab, "results?sort=t%3Asst2%3Adesc&show=score")
    tab.wait_for_selector(".tabulator-col[aria-sort=descending]")
    rows = csv.DictReader((finished.report / "results.csv").read_text().splitlines())
    scores = {
        row["experiment"]: float(row["value"]) for row in rows if row["task"] == "sst2" and row["primary"] == "True"
    }
    order = [scores[name] for name in names(tab) if name in scores]
    assert order == sorted(order, reverse=True)
    with tab.expect_download() as taken:
        tab.click("#results button:text-is('CSV')")
    saved = list(csv.reader(Path(taken.value.path()).read_text().splitlines()))
    assert saved[0][:2] == ["experiment", "title"]
    at = saved[0].index("sst2")
    assert {row[0]: float(row[at]) for row in saved[1:] if row[0] in scores and row[at]} == pytest.approx(
        {row[0]: scores[row[0]] for row in saved[1:] if row[0] in scores}, rel=1e-5
    )
    assert tab.complaints == []


def test_the_keyboard_reaches_the_answers_and_what_scrolls(tab: Any, page: Path) -> None:
    tab.goto(page.as_uri())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#overview"
    tab.focus(".card .more a")
    tab.keyboard.press("Enter")
    tab.wait_for_function("() => document.activeElement.closest('#evidence') !== null")
    lost = tab.evaluate(
        "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.tabIndex < 0 "
        "&& !e.closest('figure')).length"
    )
    assert lost == 0, "what scrolls sideways can be reached by the keyboard"


def test_the_overview_is_one_screen(browser: Any, page: Path) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    tab.goto(page.as_uri())
    last = tab.evaluate(
        "Math.max(...[...document.querySelectorAll('#overview *')].map(e => e.getBoundingClientRect().bottom))"
    )
    assert last <= 900
    context.close()


@pytest.mark.parametrize("width", [1440, 1280, 800, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_leaves_the_screen_sideways(browser: Any, page: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(page.as_uri())
    for name in tabs(tab):
        go(tab, name)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
        assert tab.evaluate(CUT) == [], name
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 28)"}[scheme]
    context.close()


def test_print_shows_every_printed_section_with_the_plain_table(tab: Any, page: Path, tmp_path: Path) -> None:
    tab.goto(page.as_uri())
    go(tab, "results")
    tab.emulate_media(media="print")
    printed = tab.evaluate("document.querySelectorAll('main > section:not(.unprinted)').length")
    assert shown(tab, "main > section") == printed
    assert shown(tab, "table.grid") >= 1
    assert shown(tab, ".tabulator") == 0
    assert shown(tab, "nav") == 0
    tab.pdf(path=str(tmp_path / "print.pdf"), prefer_css_page_size=True)
    pages = (tmp_path / "print.pdf").read_bytes().count(b"/Type /Page\n")
    assert 2 <= pages <= 10, "twelve for all 72"
    tab.set_viewport_size({"width": 1040, "height": 711})  # A4 landscape without its margins
    wide = "[...document.querySelectorAll('main table, main svg')].filter(e => e.getBoundingClientRect().right > 1041)"
    assert tab.evaluate(f"{wide}.length") == 0, "nothing is cut off on paper"


def test_hostile_data_runs_nothing(tab: Any, tmp_path: Path) -> None:
    """Scripts planted in every text of rows, models and study, and in the address itself, stay text on every view."""
    plan = made_reports.few(made_reports.hostile_study())
    folder = made_reports.run_of(plan, tmp_path / "run", items=4)
    made_reports.make_hostile(folder, plan)
    page = write_report(folder, plan)
    tab.on("dialog", lambda dialog: (tab.complaints.append(dialog.message), dialog.dismiss()))
    tab.goto(page.as_uri())
    planted = quote(made_reports.HOSTILE, safe="")
    for address in (
        *tabs(tab),
        "results?experiment=3a-sst2",
        f"results?sort={planted}&text={planted}&group=strategy&columns={planted}&strategy={planted}",
        f"items?task={planted}&experiments={planted}&a={planted}&show={planted}&sort={planted}&text=img",
        f"items?task=sst2&experiments=3a-sst2,zero-shot&item={planted}sst2-0001",
        f"curves?experiments={planted},3a-sst2&by={planted}&smooth={planted}&scale={planted}",
        "compare?a=3a-sst2&b=zero-shot&task=sst2&show=ab",
        f"compare?a={planted}&b={planted}&task={planted}&show={planted}&by={planted}&smooth={planted}",
    ):
        go(tab, address)
        tab.wait_for_timeout(50)
    go(tab, f"items?task=sst2&experiments=3a-sst2,zero-shot&item={planted}sst2-0001")
    panel = tab.text_content("#items .panel")
    assert panel.count(made_reports.HOSTILE) > 10, "the text itself is there"
    assert tab.complaints == []
    assert tab.evaluate("document.images.length") == 0
    foreign = "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on')))"
    assert tab.evaluate(f"{foreign}.length") == 0
    assert tab.evaluate("document.querySelectorAll('a[href^=\"javascript:\" i], iframe, object, embed').length") == 0


def test_hostile_data_runs_nothing_on_the_page_of_two(tab: Any, tmp_path: Path) -> None:
    plan = made_reports.few(made_reports.hostile_study())
    folder = made_reports.run_of(plan, tmp_path / "run", items=4)
    made_reports.make_hostile(folder, plan)
    tables = RunTables(folder, plan)
    found = compare_experiments(Evidence(tables), "3a-sst2", "zero-shot")
    path = tmp_path / "two.html"
    path.write_text(
        comparison_page(found, compared_runs(found, (tables, "3a-sst2"), (tables, "zero-shot"))), encoding="utf-8"
    )
    tab.on("dialog", lambda dialog: (tab.complaints.append(dialog.message), dialog.dismiss()))
    tab.goto(path.as_uri())
    for address in (
        *tabs(tab),
        f"items?task=sst2&item={quote(made_reports.HOSTILE, safe='')}sst2-0001",
        "compare?show=ba",
    ):
        go(tab, address)
        tab.wait_for_timeout(50)
    assert tab.complaints == []
    assert tab.evaluate("document.images.length") == 0


def test_the_live_page_moves_without_a_reload(browser: Any, plan: Plan, finished: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create(plan.study, plan, {"compile": plan.options.to_json()})
    watch = Watch(folder.path, pause=0.1)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    with make_server(watch, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        watch.start()
        try:
            tab.goto(f"http://127.0.0.1:{server.server_address[1]}/")
            tab.evaluate("window.same = true")
            tab.evaluate("location.hash = 'results?strategy=multi-task'")
            for stage in finished.stages.iterdir():
                shutil.copytree(stage, folder.stages / stage.name)
            tab.wait_for_function(
                "() => document.querySelector('#overview .facts').textContent.includes('experiments done') && "
                "document.querySelectorAll('.panels figure g').length > 20",
                timeout=patient(120_000),
            )
            assert tab.evaluate("window.same"), "the page was not loaded again"
            assert tab.evaluate("location.hash") == "#results?strategy=multi-task", "the table's state stays"
            assert shown(tab, "main > section") == 1
            assert complaints == []
        finally:
            context.close()
            server.shutdown()
            thread.join()
            watch.stop()
