"""Finds a prepared source's token blocks in the cache and checks that they are still there. Loads no torch."""

from __future__ import annotations

import shutil
from pathlib import Path

from regimen.data.blocks import FACTS
from regimen.digests import Digests
from regimen.results import PreparedFacts
from regimen.results.layout import blocks_home


def blocks_folder(prepared: PreparedFacts, cache: Path) -> Path:
    """The folder of the blocks."""
    return blocks_home(cache) / prepared.folder


def block_digests(folder: Path, digests: Digests) -> dict[str, str]:
    """{file: digest} of a folder of blocks."""
    return {path.name: digests.of(path) for path in sorted(folder.iterdir()) if path.is_file()}


def has_blocks(prepared: PreparedFacts, cache: Path, digests: Digests) -> bool:
    """True if the blocks are there as they were written; a cache may be emptied or damaged at any time.

    Blocks that are damaged are deleted, for they can be made again.
    """
    folder = blocks_folder(prepared, cache)
    if not (folder / FACTS).is_file():
        whole = False
    else:
        try:
            whole = all(digests.of(folder / name) == digest for name, digest in prepared.block_files.items())
        except OSError:
            whole = False
    if not whole:
        shutil.rmtree(folder, ignore_errors=True)
    return whole
