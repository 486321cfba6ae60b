"""Chat templates that lie in a file beside the study: the study holds their text, so that a change is noticed.

Does not know what a template says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regimen.errors import StudyError
from regimen.study.positions import Document
from regimen.study.sources import CHAT_TEMPLATES

LARGEST = 1 << 20  # bytes; the longest templates of the Hub have some tens of thousands


def put_in_chat_templates(document: Document, path: Path) -> None:
    """Replaces the names of template files by their text; raises StudyError naming the lines of missing files."""
    faults = []
    sources: Any = document.value.get("sources") if isinstance(document.value, dict) else None
    for name, source in (sources if isinstance(sources, dict) else {}).items():
        form = source.get("form") if isinstance(source, dict) else None
        choice = form.get("chat_template") if isinstance(form, dict) else None
        if not isinstance(form, dict) or not isinstance(choice, str) or choice in CHAT_TEMPLATES or "{" in choice:
            continue
        place = document.position(("sources", name, "form", "chat_template"))
        file = path.parent / choice
        if len(choice) > 255 or not file.is_file():
            faults.append(
                f"{place}: `chat_template` is base, chatml, plain or a file beside the study; no file {choice[:80]!r}"
            )
        elif file.stat().st_size > LARGEST:
            faults.append(f"{place}: {choice!r} has {file.stat().st_size:,} bytes, a chat template at most {LARGEST:,}")
        else:
            form["chat_template"] = file.read_text(encoding="utf-8")
    if faults:
        raise StudyError(path.name, faults)
