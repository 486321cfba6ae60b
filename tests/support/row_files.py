"""Files of rows: for one test, and of every data set in the mirror layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from regimen.data.miniature import table, tables


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A JSON lines file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_mirror(folder: Path) -> None:
    """The miniature as a mirror of the Hub, with an account of its rows in SOURCES.md, as real rows have one."""
    lines = ["# Made-up rows", "", "| Hub id | rows | source |", "|---|---|---|"]
    for name, config, split in tables():
        rows = table(name, config, split)
        write(folder.joinpath(*name.split("/"), *([config] if config else []), f"{split}.jsonl"), rows)
        lines.append(f"| {name}{f' ({config})' if config else ''} | {split} {len(rows):,} | the miniature |")
    (folder / "SOURCES.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
