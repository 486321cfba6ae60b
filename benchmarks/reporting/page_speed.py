"""How large the page of a study of 500 experiments on ten tasks is, and how fast it answers in Chromium.

python -m benchmarks.reporting.page_speed --out benchmarks/reporting/RESULT.json [--run RUN] [--page PAGE]

First paint is the browser's own first-contentful-paint. A keystroke is timed by the browser's Event Timing: from the
key to the next frame that shows what it did. A section's drawing is timed from the change of the address to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from tests.support.large_runs import large_run

from regimen.api import open_run
from regimen.report import shell
from regimen.report.run_reading import read
from regimen.report.sections import sections_of

OBSERVE = """() => {
  window.keys = [];
  const names = ['keydown', 'keypress', 'beforeinput', 'input', 'keyup'];
  new PerformanceObserver(list => list.getEntries().forEach(e => {
    if (names.includes(e.name)) window.keys.push([e.name, e.interactionId, e.duration]);
  })).observe({ type: 'event', durationThreshold: 16, buffered: true });
}"""
SECTIONS = {
    "results": ("#results", "input[aria-label='Filter experiments']", "tune-3"),
    "items": ("#items", "input[placeholder='text of prompt or answer']", "t0-0012"),
    "compare": ("#compare", None, ""),
    "curves": ("#curves", None, ""),
}


def drawn(tab: Any, name: str) -> float:
    """Milliseconds from the address to the drawn section."""
    return tab.evaluate(
        """async name => {
          const section = document.getElementById(name), start = performance.now();
          section.classList.remove('drawn');
          location.hash = name;
          while (!section.classList.contains('drawn')) await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
          return performance.now() - start;
        }""",
        name,
    )


def keystrokes(tab: Any, selector: str, text: str) -> list[float]:
    """Milliseconds of each key of a text in a field, with the deletion of the same text; under 16 counts as 16."""
    tab.evaluate("() => { window.keys = [] }")
    tab.focus(selector)
    for key in [*text, *["Backspace"] * len(text)]:
        tab.keyboard.press(key)
        tab.wait_for_timeout(150)
    tab.wait_for_timeout(300)
    seen: dict[int, float] = {}
    for _, interaction, duration in tab.evaluate("window.keys"):
        seen[interaction] = max(seen.get(interaction, 0.0), duration)
    slow = [duration for interaction, duration in seen.items() if interaction]
    return slow + [16.0] * (2 * len(text) - len(slow))


def measure(page: Path) -> dict[str, Any]:
    """The figures of one page."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    found: dict[str, Any] = {"bytes": page.stat().st_size, "sections_ms": {}, "keystroke_ms": {}}
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        found["browser"] = browser.version
        paints = []
        for _ in range(5):
            context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
            tab = context.new_page()
            tab.goto(page.as_uri())
            tab.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
            paints.append(tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
            context.close()
        found["first_paint_ms"] = [round(one) for one in paints]
        context = browser.new_context(viewport={"width": 1440, "height": 900}, offline=True)
        tab = context.new_page()
        tab.goto(page.as_uri())
        tab.evaluate(OBSERVE)
        for name, (_, selector, text) in SECTIONS.items():
            found["sections_ms"][name] = round(drawn(tab, name))
            if selector:
                times = keystrokes(tab, f"#{name} {selector}", text)
                found["keystroke_ms"][name] = {
                    "median": statistics.median(times), "worst": max(times), "keys": len(times)
                }  # fmt: skip
        browser.close()
    return found


def main() -> None:
    """Makes the run if none is given, writes its page, measures it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="a run folder; default: a made-up run of 500 experiments")
    parser.add_argument("--page", type=Path, help="a page that is there already")
    parser.add_argument("--experiments", type=int, default=500)
    parser.add_argument("--items", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        page, seconds = given.page, None
        if page is None:
            opened = open_run(given.run) if given.run else None
            folder, plan = (
                (opened.folder, opened.plan) if opened else large_run(Path(scratch), given.experiments, given.items)
            )
            started = time.process_time()
            page = Path(scratch) / "index.html"
            page.write_text(shell.page("Large", sections_of(read(folder, plan))), encoding="utf-8")
            seconds = round(time.process_time() - started, 1)
        found = measure(page)
    found |= {
        "report_cpu_seconds": seconds,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }
    given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
