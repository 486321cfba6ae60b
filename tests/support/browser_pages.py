"""What tests ask of a page in a browser: its sections, what is seen, what is cut off."""

from __future__ import annotations

from typing import Any

from tests.support.patience import patient

TABS = "[...document.querySelectorAll('nav a')].map(one => one.hash.slice(1))"

# What is cut off without a cue: neither three dots, nor a shadow at the edge, nor a frame that scrolls.
CUT = """[...document.querySelectorAll('section.shown *, header *')].filter(one => {
  const look = getComputedStyle(one);
  return one.checkVisibility() && one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1
    && ['hidden', 'clip'].includes(look.overflowX) && look.textOverflow !== 'ellipsis'
    && look.webkitLineClamp === 'none' && !one.matches('.unseen, .tabulator-header-contents, svg');
}).map(one => `${one.className}: ${one.textContent.slice(0, 60)}`)"""


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
