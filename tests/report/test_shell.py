"""The page around its sections: tabs, the address, packed data, and that nothing but its own scripts runs."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup

from regimen.report import shell
from regimen.report.payload import packed
from regimen.report.section import Section

ONE = Section("one", "The first", Markup('<p id="inside">the first</p>'), {"numbers": {"b": [1.5, None], "a": "<&>"}})
TWO = Section("two", "The second", Markup("<p>the second</p>"), libraries=("uplot", "tabulator"))


def test_data_are_packed_with_sorted_keys_and_the_same_bytes_each_time() -> None:
    first, again = packed({"b": 1, "a": [float("nan"), 0.5]}), packed({"a": [float("nan"), 0.5], "b": 1})
    assert first == again
    assert gzip.decompress(base64.b64decode(first)).decode() == '{"a":[null,0.5],"b":1}'


def test_libraries_are_there_only_where_a_section_needs_them() -> None:
    assert 'id="library-' not in shell.page("t", [ONE])
    both = shell.page("t", [ONE, TWO])
    assert re.findall(r'id="library-(\w+)"', both) == ["tabulator", "uplot"]
    assert shell.page("t", [ONE, TWO]) == both


def test_tabs_follow_the_address_and_data_and_libraries_unpack(tab: Any, tmp_path: Path) -> None:
    place = tmp_path / "page.html"
    place.write_text(shell.page("A <b>title</b>", [ONE, TWO]), encoding="utf-8")
    tab.goto(place.as_uri())
    seen = "[...document.querySelectorAll('main > section')].filter(e => e.checkVisibility()).map(e => e.id).join()"
    assert tab.evaluate(seen) == "one"
    tab.click("nav a[href='#two']")
    assert tab.evaluate(seen) == "two"
    tab.evaluate("location.hash = '#inside'")
    tab.wait_for_function(f"() => {seen} === 'one'")
    assert tab.evaluate("regimen.data('numbers')") == json.loads('{"a": "<&>", "b": [1.5, null]}')
    assert tab.evaluate(
        "Promise.all(['tabulator', 'uplot'].map(regimen.library)).then(all => all.map(x => typeof x))"
    ) == [
        "function",
        "function",
    ]
    assert tab.text_content(".title") == "A <b>title</b>"
    assert tab.complaints == []
    assert [url for url in tab.asked if not url.startswith(("file:", "data:", "blob:"))] == []
