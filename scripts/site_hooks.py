"""What mkdocs adds when it builds the site: lists that are read off the checkout, so that they are never stale.

The overview of decisions gets a link to each of them, the page of errors their messages.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.error_messages import page_part


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The text of a page, with the list that belongs to it."""
    added = {"decisions/README.md": _decisions, "reference/errors.md": lambda _: page_part()}.get(page.file.src_uri)
    return f"{markdown}\n\n{added(Path(page.file.abs_src_path).parent)}\n" if added else markdown


def _decisions(folder: Path) -> str:
    pages = {path.name: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for path in folder.glob("*.md")}
    return "\n".join(f"- [{title}]({name})" for name, title in sorted(pages.items()) if name != "README.md")
