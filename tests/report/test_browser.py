"""The page in a real browser: no network, no complaint, every link, the filters, the keyboard, print, the live page."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regimen.plan import Plan
from regimen.report.live_page import Watch, make_server
from regimen.report.run_report import write_report
from regimen.results import RunFolder
from tests.support import made_reports
from tests.support.patience import patient

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-extensions"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as player:
        started = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A tab of 1280 x 900 that notes complaints and requests, and may not reach the network."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    opened = context.new_page()
    opened.complaints, opened.asked = [], []
    opened.on("console", lambda message: opened.complaints.append(message.text))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    yield opened
    context.close()


def through(tab: Any) -> None:
    """Scrolls through the page until every figure has been drawn."""
    for figure in tab.query_selector_all("figure.chart:not(.own)"):
        figure.scroll_into_view_if_needed()
        tab.wait_for_function("figure => figure.classList.contains('drawn')", arg=figure, timeout=patient(30_000))


def shown(tab: Any, selector: str) -> int:
    return tab.evaluate("s => [...document.querySelectorAll(s)].filter(e => e.checkVisibility()).length", selector)


@pytest.mark.slow
def test_it_opens_from_a_file_paints_fast_and_draws_every_figure(tab: Any, page: Path) -> None:
    tab.goto(page.as_uri())
    painted = tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert painted < 10_000, "2 s on a quiet machine; tests run on busy ones"
    assert tab.evaluate("window.Plotly === undefined || document.querySelector('figure.drawn') !== null")
    through(tab)
    assert tab.evaluate("document.querySelectorAll('figure .live .main-svg').length") > 5
    assert tab.complaints == []
    assert [url for url in tab.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_link_leads_to_something_that_is_then_shown(tab: Any, page: Path) -> None:
    tab.goto(page.as_uri())
    broken = tab.evaluate(
        """async () => {
          const hashes = [...new Set([...document.querySelectorAll('a[href^="#"]')].map(a => a.getAttribute('href')))];
          const broken = [];
          for (const hash of hashes) {
            location.hash = hash;
            dispatchEvent(new HashChangeEvent('hashchange'));
            const target = document.getElementById(decodeURIComponent(hash.slice(1)));
            if (!target || !target.checkVisibility()) broken.push(hash);
          }
          return [hashes.length, broken];
        }"""
    )
    assert broken[0] > 100
    assert broken[1] == []
    assert tab.complaints == []


def test_filters_hide_what_they_name_and_work_by_keyboard(tab: Any, page: Path) -> None:
    tab.goto(page.as_uri())
    heat = "#change tbody tr"
    everything, columns = shown(tab, heat), shown(tab, "#change thead th")
    tab.focus('input[name=phase][value="2B"]')
    tab.keyboard.press("Space")
    assert shown(tab, f'{heat}[data-phase="2B"]') == 0
    assert 0 < shown(tab, heat) < everything
    assert "shown" in tab.text_content("#filtered")
    tab.focus('input[name=group][value="financial"]')
    tab.keyboard.press("Space")
    assert shown(tab, "#change thead th") == columns - 5
    tab.keyboard.press("Space")
    tab.focus('input[name=phase][value="2B"]')
    tab.keyboard.press("Space")
    assert (shown(tab, heat), shown(tab, "#change thead th")) == (everything, columns)
    assert tab.text_content("#filtered") == ""
    tab.focus("input[name=text]")
    tab.keyboard.type("3A-SST2")
    assert shown(tab, heat) == 1
    tab.keyboard.press("Enter")
    assert shown(tab, heat) == 1, "Enter sends nothing anywhere"


def test_the_keyboard_reaches_answers_and_opens_experiments(tab: Any, page: Path) -> None:
    tab.goto(page.as_uri())
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#answers"
    tab.focus("#x-3a-sst2 summary")
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.getElementById('x-3a-sst2').open")
    tab.focus('#change a[href="#x-3a-sst2--sst2"]')
    tab.keyboard.press("Enter")
    tab.wait_for_function("() => document.activeElement.id === 'x-3a-sst2--sst2'")
    lost = tab.evaluate(
        "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.tabIndex < 0 "
        "&& !e.closest('figure')).length"
    )
    assert lost == 0, "what scrolls sideways can be reached by the keyboard"


def test_print_shows_everything_with_still_pictures(tab: Any, page: Path, tmp_path: Path) -> None:
    tab.goto(page.as_uri())
    figure = tab.query_selector("figure.chart:not(.own)")
    figure.scroll_into_view_if_needed()
    tab.wait_for_function("() => document.querySelector('figure.drawn') !== null")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.emulate_media(media="print")
    assert tab.evaluate("[...document.querySelectorAll('details')].every(part => part.open)")
    assert shown(tab, ".still svg") == tab.evaluate("document.querySelectorAll('.still').length")
    assert shown(tab, ".live .main-svg") == 0
    assert shown(tab, "nav") == 0
    tab.pdf(path=str(tmp_path / "print.pdf"))
    assert (tmp_path / "print.pdf").stat().st_size > 100_000
    tab.emulate_media(media="screen")
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not tab.evaluate("document.getElementById('x-3a-sst2').open")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_leaves_the_screen_sideways(browser: Any, page: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.evaluate("location.hash = 'x-3a-sst2'")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 27, 33)"}[scheme]
    context.close()


def test_hostile_data_runs_nothing(tab: Any, tmp_path: Path) -> None:
    plan = made_reports.few(made_reports.hostile_study())
    folder = made_reports.run_of(plan, tmp_path / "run", items=4)
    made_reports.make_hostile(folder, plan)
    page = write_report(folder, plan)
    tab.on("dialog", lambda dialog: (tab.complaints.append(dialog.message), dialog.dismiss()))
    tab.goto(page.as_uri())
    tab.query_selector("figure.chart:not(.own)").scroll_into_view_if_needed()
    tab.wait_for_function("() => document.querySelector('figure.drawn') !== null")
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
            tab.uncheck('input[name=phase][value="2B"]')
            tab.evaluate("document.getElementById('x-3a-sst2').open = true")
            for stage in finished.stages.iterdir():
                shutil.copytree(stage, folder.stages / stage.name)
            tab.wait_for_function(
                "() => document.querySelectorAll('#leaders tbody tr').length > 3", timeout=patient(120_000)
            )
            assert tab.evaluate("window.same"), "the page was not loaded again"
            assert tab.evaluate("document.getElementById('x-3a-sst2').open"), "what was open stays open"
            assert shown(tab, '#change tbody tr[data-phase="2B"]') == 0, "filters stay"
            assert complaints == []
        finally:
            context.close()
            server.shutdown()
            thread.join()
            watch.stop()
