"""The pages that people read, and what they tell people to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.support.checkout import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```", re.M | re.S)
TYPED = re.compile(r"^(?: {4}|\t)?(?:\$ )?regimen ([a-z][^\n]*)", re.M)


def blocks(page: Path) -> list[tuple[str, str, str]]:
    """(language, title, text) of each fenced block."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def followed(page: Path) -> bool:
    """Whether the page has blocks that a test can follow."""
    return any(language in ("sh", "python") for language, _, _ in blocks(page))


def commands(page: Path) -> list[list[str]]:
    """The words of every line that begins with `regimen`, those of a second command on the line too."""
    plain = [line for line in TYPED.findall(page.read_text(encoding="utf-8")) if not line.startswith(("is ", "finds "))]
    found = []
    for line in plain:
        for one in f"regimen {line}".split(" && "):
            words = shlex.split(one.replace("...", ""), comments=True)
            found.append(words[1 : words.index("|")] if "|" in words else words[1:])
    return found
