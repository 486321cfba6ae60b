"""A miniature of every data source of the plan, made by the package itself: for runs without a network.

`table` gives the rows of a Hub data set in exactly its columns, label encodings and wordings, so that the code that
reads the real ones reads these. Everything is made up: the sentences from templates, the names invented. The tables
are the same on every machine and Python version, and no text of a test split recurs, or nearly recurs, in training.

    chance        draws that depend on a seed and nothing else
    words         the shared word lists
    writing       templates to sentences
    separation    what counts as the same text
    table         drawing rows and refusing those that come too near to what is held out
    catalogue     which tables there are
    the others    one kind of text each, with the tables that are made of it
"""

from __future__ import annotations

from typing import Any

from regimen.data.miniature import catalogue
from regimen.errors import SourceMissing

__all__ = ["table", "tables"]


def table(hub_id: str, config: str | None, split: str) -> list[dict[str, Any]]:
    """The rows of a table, the caller's to change; raises SourceMissing if there is no such table.

    Where a data set has one config, `config` is None or its name on the Hub.
    """
    key = (hub_id, None if config == catalogue.SINGLE_CONFIGS.get(hub_id) else config, split)
    if key not in catalogue.ALL:
        raise SourceMissing(_missing(hub_id, config, split))
    return [
        {name: list(value) if isinstance(value, list) else value for name, value in row.items()}
        for row in catalogue.rows(key)
    ]


def tables() -> tuple[tuple[str, str | None, str], ...]:
    """All that exist: Hub id, config (None where there is one), split."""
    return catalogue.ALL


def _missing(hub_id: str, config: str | None, split: str) -> str:
    name = f"{hub_id} {config}" if config else hub_id
    known = [key for key in catalogue.ALL if key[0] == hub_id]
    if not known:
        hubs = ", ".join(dict.fromkeys(key[0] for key in catalogue.ALL))
        return f"the miniature has no data set {hub_id!r}; it has {hubs}"
    parts = ", ".join(f"{key[1]}/{key[2]}" if key[1] else key[2] for key in known)
    return f"the miniature has no split {split!r} of {name!r}; of {hub_id} it has {parts}"
