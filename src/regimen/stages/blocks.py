"""Where a prepared source's token blocks lie in the cache, and whether they are still there. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from regimen.data.blocks import FACTS
from regimen.results import PreparedFacts
from regimen.results.layout import blocks_home


def blocks_folder(prepared: PreparedFacts, cache: Path) -> Path:
    """The folder of the blocks."""
    return blocks_home(cache) / prepared.folder


def has_blocks(prepared: PreparedFacts, cache: Path) -> bool:
    """Whether the blocks are there; a cache may be emptied at any time."""
    return (blocks_folder(prepared, cache) / FACTS).is_file()
