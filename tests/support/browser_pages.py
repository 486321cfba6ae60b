"""What tests ask of a page in a browser: its sections, what is seen, what is cut off."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import patient

AXE = Path(__file__).parent / "axe-core" / "axe.min.js"
GRAVE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter(one => ['serious', 'critical'].includes(one.impact))
  .map(one => `${one.id}: ${one.nodes[0].html.slice(0, 160)} ${one.nodes[0].failureSummary}`)"""
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-extensions"]
TABS = "[...document.querySelectorAll('nav a')].map(one => one.hash.slice(1))"

# What is cut off without a cue: neither three dots, nor a shadow at the edge, nor a frame that scrolls.
CUT = """[...document.querySelectorAll('section.shown *, header *')].filter(one => {
  const look = getComputedStyle(one);
  return one.checkVisibility() && one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1
    && ['hidden', 'clip'].includes(look.overflowX) && look.textOverflow !== 'ellipsis'
    && look.webkitLineClamp === 'none' && !one.matches('.unseen, .tabulator-header-contents, svg');
}).map(one => `${one.className}: ${one.textContent.slice(0, 60)}`)"""


@contextmanager
def chromium() -> Iterator[Any]:
    """A started browser; skips the test where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH")
    with api.sync_playwright() as player:
        started = player.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def grave(tab: Any) -> list[str]:
    """What axe-core calls a serious or critical barrier on the page as it stands."""
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    return tab.evaluate(GRAVE)


def tabs(tab: Any) -> list[str]:
    """The names of the page's sections."""
    return tab.evaluate(TABS)


def shown(tab: Any, selector: str) -> int:
    """How many elements are seen."""
    return tab.evaluate("s => [...document.querySelectorAll(s)].filter(e => e.checkVisibility()).length", selector)


def go(tab: Any, address: str) -> None:
    """Follows an address and waits until its section has been drawn."""
    name = address.split("?")[0]
    tab.evaluate("address => { location.hash = address }", address)
    tab.wait_for_function(
        "name => { const one = document.getElementById(name); return one.checkVisibility() && "
        "(!one.querySelector(':scope > .live') || one.classList.contains('drawn')) }",
        arg=name,
        timeout=patient(30_000),
    )


def names(tab: Any) -> list[str]:
    """The experiments that the table shows, from above."""
    return tab.evaluate("[...document.querySelectorAll('.tabulator-table .named small')].map(e => e.textContent)")
