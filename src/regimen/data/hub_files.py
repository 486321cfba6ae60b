"""The files of a data set on the Hub, read as they are written.

Owns which files hold a split, fetching them whole into the Hub client's cache, and the choice between our own readers
and `datasets`. Each value is as it stands in the file, so a run from the Hub equals one from a mirror of it. Files that
our readers do not know, and those whose card asks for a special way of reading, go through `datasets`, which guesses
types. Does not know sources, forms or mirrors.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimen.data.readers import file_rows, is_read
from regimen.data.row import Row
from regimen.errors import SourceMissing

BATCH_ROWS = 512
CONVERTED = "refs/convert/parquet"
_HUB_PATH = re.compile(r"hf://datasets/([^/]+/[^/@]+)@(refs/convert/parquet|[^/]+)/(.+)")
_NOT_OF_READING = {"name", "version", "data_dir", "data_files", "description", "features", "field"}


@dataclass(frozen=True)
class HubTable:
    """One configuration of a data set at a revision; `converted` takes the Hub's own conversion to parquet."""

    hub: str
    config: str | None
    revision: str
    converted: bool = False


@dataclass(frozen=True)
class HubFile:
    """One file of a repository at a commit or reference."""

    repo: str
    commit: str
    file: str


@dataclass(frozen=True)
class Listing:
    """The files of each split; `by_datasets` says why `datasets` has to read them, None: our readers do.

    `field` is the key of the list that holds a JSON file's rows, where the card names one.
    """

    splits: dict[str, list[HubFile]]
    by_datasets: str | None = None
    field: str | None = None


def listing(table: HubTable, splits: Sequence[str]) -> Listing:
    """The files as the `datasets` library finds them. Raises what the client raises, which is of many types."""
    from datasets import load_dataset_builder

    if table.converted:
        folder = f"hf://datasets/{table.hub}@{CONVERTED}/{table.config or 'default'}"
        wanted = {split: f"{folder}/{split}/*.parquet" for split in splits}
        builder = load_dataset_builder("parquet", data_files=wanted)
    else:
        builder = load_dataset_builder(table.hub, table.config, revision=table.revision)
    paths = {str(split): [str(path) for path in found] for split, found in (builder.config.data_files or {}).items()}
    matched = {split: [_HUB_PATH.fullmatch(path) for path in found] for split, found in paths.items()}
    files = {split: [HubFile(m[1], m[2], m[3]) for m in found if m] for split, found in matched.items()}
    whole = bool(files) and all(all(found) for found in matched.values())
    return Listing(files, _why_not_ours(builder, files, whole), getattr(builder.config, "field", None))


def _why_not_ours(builder: Any, files: dict[str, list[HubFile]], whole: bool) -> str | None:
    paths = [Path(file.file) for found in files.values() for file in found]
    strange = sorted({path.suffix or path.name for path in paths if not is_read(path)})
    if strange or not whole:
        return f"its files are {', '.join(strange)}" if strange else "its rows lie in no plain files"
    plain = type(builder.config)()
    names = [field.name for field in dataclasses.fields(builder.config) if field.name not in _NOT_OF_READING]
    special = [name for name in names if getattr(builder.config, name) != getattr(plain, name, None)]
    if special:
        return f"its card sets {', '.join(special)}"
    if any(path.suffix != ".parquet" for path in paths) and "ClassLabel" in str(builder.info.features):
        return "its card numbers classes that its files write as text"
    return None


def hub_rows(table: HubTable, split: str, field: str | None = None) -> Iterator[Row]:
    """The rows of a split, file after file, each file fetched when its rows are asked for.

    `field` is the key of the list that holds a JSON file's rows, by default the card's.
    Raises SourceMissing for what the Hub does not give, DataError for a file that cannot be read.
    """
    try:
        found = listing(table, [split])
        files = found.splits.get(split, [])
        if found.by_datasets is None and not files:
            there = ", ".join(sorted(found.splits)) or "none"
            raise ValueError(f"it has no split {split!r}; it has {there}")
    except Exception as fault:
        raise _missing(table, split, fault) from None
    if found.by_datasets is not None:
        yield from _through_datasets(table, split)
        return
    for file in files:
        yield from file_rows(f"{table.hub}: {file.file}", _fetched(table, split, file), field or found.field)


def _fetched(table: HubTable, split: str, file: HubFile) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(file.repo, file.file, repo_type="dataset", revision=file.commit))
    except Exception as fault:
        raise _missing(table, split, fault) from None


def _through_datasets(table: HubTable, split: str) -> Iterator[Row]:
    from datasets import load_dataset

    try:
        dataset: Any = load_dataset(table.hub, table.config, split=split, revision=table.revision, streaming=True)
        for batch in dataset.iter(batch_size=BATCH_ROWS):
            columns = list(batch)
            for values in zip(*(batch[column] for column in columns), strict=True):
                yield dict(zip(columns, values, strict=True))
    except GeneratorExit:
        raise
    except Exception as fault:
        raise _missing(table, split, fault) from None


def _missing(table: HubTable, split: str, fault: Exception) -> SourceMissing:
    if isinstance(fault, OSError) and fault.filename:  # of a file here, no matter of the network
        return SourceMissing(
            f"{table.hub} ({split}): the cache of the Hub cannot be used ({fault}); set HF_HOME to a folder of yours"
        )
    first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
    return SourceMissing(
        f"{table.hub} ({split}) cannot be read from the Hub: {first}; without a network use --data with a mirror"
    )
