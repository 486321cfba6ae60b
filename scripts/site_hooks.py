"""What mkdocs adds when it builds the site: the list of decisions, so that a new page needs no entry elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The overview of decisions gets a link to each of them; other pages stay as they are."""
    if page.file.src_uri != "decisions/README.md":
        return markdown
    folder = Path(page.file.abs_src_path).parent
    pages = {path.name: path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for path in folder.glob("*.md")}
    links = [f"- [{title}]({name})" for name, title in sorted(pages.items()) if name != "README.md"]
    return "\n".join([markdown, "", *links])
