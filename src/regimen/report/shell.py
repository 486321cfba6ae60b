"""The page around its sections: one HTML file that needs nothing else, and its security policy.

Owns the document: head, tabs, scripts by digest, libraries and data packed inside. No network, no script but these.
Does not know what a section shows.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from markupsafe import Markup

from regimen.report.html_page import render
from regimen.report.payload import packed, packed_text
from regimen.report.section import Section

EARLY = 'document.documentElement.classList.add("scripted");'


@dataclass(frozen=True)
class Library:
    """A library that is kept beside the report, as published: its script and its style sheet."""

    script: str
    style: str


LIBRARIES = {
    "tabulator": Library("tabulator.min.js", "tabulator.min.css"),
    "uplot": Library("uPlot.iife.min.js", "uPlot.min.css"),
}


def page(title: str, sections: Sequence[Section], version: str = "") -> str:
    """The whole document; with a `version` it asks the local server whether there is a newer one."""
    libraries = [name for name in LIBRARIES if any(name in section.libraries for section in sections)]
    scripts = dict.fromkeys(section.script for section in sections if section.script)
    script = "\n".join(text_of("browser", name) for name in ("shell.js", "controls.js", *scripts))
    styles = [text_of("assets", LIBRARIES[name].style) for name in libraries]
    digests = [digest(EARLY), digest(script), *(_library(name)[1] for name in libraries)]
    return render(
        "page.html.jinja",
        {
            "title": title,
            "first": sections[0],
            "policy": policy(digests, live=bool(version)),
            "version": version,
            "early": Markup(EARLY),
            "style": Markup("\n".join([*styles, text_of("browser", "shell.css")])),
            "script": Markup(script),
            "libraries": {name: Markup(_library(name)[0]) for name in libraries},
            "content": Markup(content(title, sections)),
        },
    )


def content(title: str, sections: Sequence[Section]) -> str:
    """What the page shows, with its data: the part that a live page exchanges."""
    blocks = {name: Markup(packed(value)) for section in sections for name, value in section.blocks.items()}
    return render("sections.html.jinja", {"title": title, "sections": sections, "blocks": blocks})


def policy(digests: Sequence[str], *, live: bool) -> str:
    """The content security policy: these scripts alone, no network except a live page's own server."""
    allowed, asked = " ".join(f"'{one}'" for one in digests), "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        f"connect-src {asked}; base-uri 'none'; form-action 'none'"
    )


def digest(script: str) -> str:
    """A script as the policy names it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@lru_cache
def text_of(folder: str, name: str) -> str:
    """A file of the report's own."""
    return (files("regimen.report") / folder / name).read_text(encoding="utf-8")


@lru_cache
def _library(name: str) -> tuple[str, str]:
    """(its script, packed; its digest)."""
    script = text_of("assets", LIBRARIES[name].script)
    return packed_text(script), digest(script)
