"""For a paper: the main figures as SVG (and PNG where a Chromium is at hand), the tables as LaTeX.

Owns OUT/report/figures/ and tables.tex. The SVGs come from our own drawing and need nothing; a PNG is a headless
browser's picture of one. Does not know the page.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regimen.errors import UsageError
from regimen.files import write_atomically, write_text
from regimen.report.charts import Chart, svg_of
from regimen.report.html_page import Context, render
from regimen.report.words import known

FIGURES = "figures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SCALE = 2
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def write_paper(report: Path, context: Context, charts: Sequence[Chart], *, png: bool) -> None:
    """Writes the figures and the tables; raises UsageError where `png` is wanted and there is no browser."""
    browser = find_browser() if png else None
    folder = report / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    for chart in charts:
        text = svg_of(chart, standalone=True)
        write_text(folder / f"{chart.name}.svg", text)
        if browser:
            rasterise(browser, folder / f"{chart.name}.svg", folder / f"{chart.name}.png")
    written = {f"{chart.name}{suffix}" for chart in charts for suffix in ((".svg", ".png") if browser else (".svg",))}
    for old in folder.iterdir():  # of an earlier report: it would pass for a figure of this one
        if old.suffix in (".svg", ".png") and old.name not in written:
            old.unlink()
    write_text(report / "tables.tex", render("tables.tex.jinja", context | {"tex": latex, "known": known}))


def latex(value: Any) -> str:
    """Text that LaTeX sets as it stands."""
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(str(value).split()))


def find_browser() -> str:
    """The path of a Chromium or Chrome; raises UsageError where there is none."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise UsageError(
            f"--png needs a browser to draw with, and none of {', '.join(BROWSERS)} is on the PATH; install one, or "
            "use the SVGs"
        )
    return browser


def rasterise(browser: str, svg: Path, png: Path) -> None:
    """Draws an SVG as PNG, SCALE pixels a unit; raises UsageError where the browser fails."""
    size = _size(svg)
    with tempfile.TemporaryDirectory(prefix="regimen-png-") as scratch:
        picture = Path(scratch) / "picture.png"
        command = [
            browser,
            "--headless",
            "--no-sandbox",  # it draws a file that we wrote, and containers have no sandbox to offer
            "--disable-gpu",
            "--disable-background-networking",
            "--hide-scrollbars",
            f"--user-data-dir={scratch}/profile",
            f"--force-device-scale-factor={SCALE}",
            f"--window-size={size[0]},{size[1]}",
            f"--screenshot={picture}",
            svg.resolve().as_uri(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode or not picture.is_file():
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise UsageError(f"{browser} could not draw {svg.name} ({last[0]}); use the SVG, or another browser")
        write_atomically(png, lambda path: path.write_bytes(picture.read_bytes()))


def _size(svg: Path) -> tuple[int, int]:
    import re

    size = re.search(r'width="(\d+)" height="(\d+)"', svg.read_text(encoding="utf-8"))
    assert size, f"{svg} has no size"
    return int(size[1]), int(size[2])
