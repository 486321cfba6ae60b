"""For everyone: no barrier that axe-core calls serious, contrast, colours that colour-blind eyes tell apart."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regimen.report.charts.shapes import COLOURS
from regimen.report.shell import text_of
from tests.support.browser_pages import go, grave

PLACES = ("overview", "results", "results?experiment=3a-sst2", "evidence", "items", "curves", "data", "appendix")
# Machado, Oliveira and Fernandes, IEEE Transactions on Visualization and Computer Graphics 15 (6), 2009, severity 1.0;
# on linear RGB.
BLINDNESS = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
# Ottosson, "A perceptual color space for image processing", bottosson.github.io/posts/oklab, 2020: linear sRGB to LMS,
# and its cube root to Lab.
TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB = (
    (0.2104542553, 0.793617785, -0.0040720468),
    (1.9779984951, -2.428592205, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.808675766),
)
APART = 0.1  # in OKLab; a difference of about 0.02 is just seen


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_no_barrier_is_serious(browser: Any, page: Path, width: int, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True, offline=True
    )
    tab = context.new_page()
    tab.goto(page.as_uri())
    found = {}
    for place in PLACES:
        go(tab, place)
        if barriers := grave(tab):
            found[place] = barriers
    context.close()
    assert found == {}


def colours(scheme: str) -> dict[str, str]:
    """The named colours of the page's style sheet."""
    light, dark = re.findall(r":root \{(.*?)\}", text_of("browser", "shell.css"), re.S)[:2]
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", light if scheme == "light" else light + dark))


def linear(colour: str) -> np.ndarray:
    """sRGB as linear RGB."""
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    bright, dim = sorted((float(linear(colour) @ (0.2126, 0.7152, 0.0722)) for colour in (one, other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def seen(colour: str, blindness: str) -> np.ndarray:
    """A colour as such eyes see it, in OKLab."""
    light = linear(colour)
    if blindness:
        light = np.clip(np.array(BLINDNESS[blindness]) @ light, 0, 1)
    return np.array(TO_LAB) @ np.cbrt(np.array(TO_LMS) @ light)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_series_have_contrast_and_lie_apart_for_all_eyes(scheme: str) -> None:
    known = colours(scheme)
    series = [known[f"c{index}"] for index in range(8)]
    assert min(contrast(colour, known["page"]) for colour in series) >= 3, "WCAG 2.2, 1.4.11"
    for blindness in ("", *BLINDNESS):
        for one, other in combinations(series, 2):
            assert float(np.linalg.norm(seen(one, blindness) - seen(other, blindness))) >= APART, (one, other)
    better, worse = known["yes"], known["no"]
    for blindness in ("", *BLINDNESS):
        assert float(np.linalg.norm(seen(better, blindness) - seen(worse, blindness))) >= APART


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_on_every_ground(scheme: str) -> None:
    known = colours(scheme)
    for ink in ("ink", "soft", "mark", "yes", "no"):
        for ground in ("page", "shade", "raised"):
            assert contrast(known[ink], known[ground]) >= 4.5, (ink, ground)
    for tone in ("yes", "no"):  # the darkest step of a change, mixed with the page
        for step in (9, 18, 27, 36, 45):
            mixed = mix(known[tone], known["page"], step / 100)
            assert contrast(known["ink"], mixed) >= 4.5, (tone, step)


def mix(one: str, other: str, share: float) -> str:
    """CSS color-mix in OKLab."""
    lab = share * seen(one, "") + (1 - share) * seen(other, "")
    light = np.linalg.inv(np.array(TO_LMS)) @ (np.linalg.inv(np.array(TO_LAB)) @ lab) ** 3
    parts = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.clip(light, 0, 1) ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in np.clip(parts, 0, 1))


def test_paper_has_the_colours_of_light_screens() -> None:
    assert tuple(colours("light")[f"c{index}"] for index in range(8)) == COLOURS
