"""The files that a stage reads from outside the run folder (of its sources and its base), each by its digest.

Owns the names by which outcomes record them, the comparison with how they are now, and the sentence for a difference.
A file is compared only with one of the same kind (a study's own file, a mirror's, the Hub's): where rows are read
from is no part of a result. Loads no torch. Does not know scheduling.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from regimen.data.sources import Part, Where, parts_of
from regimen.digests import Digests
from regimen.engine.locate import present_folder
from regimen.errors import SourceMissing
from regimen.plan import AdapterSpec, EvaluateSpec, ItemsSpec, PrepareSpec, Stage, TrainSpec
from regimen.study.schema import Base
from regimen.study.sources import Source

TOKENIZER = ("tokenizer", "special_tokens_map", "added_tokens", "vocab", "merges", "chat_template")
WEIGHTS = ("config.json", ".safetensors", ".safetensors.index.json")
GENERATION = "generation_config.json"


def inputs_of(
    stage: Stage, data: Path | None, here: Path | None, digests: Digests, *, hub: bool = True
) -> dict[str, str]:
    """{name: digest} of the files that the stage reads, as far as they are here; fetches no file.

    A name is "source NAME, SPLIT (KIND): FILE" or "base ID: FILE". For rows of the Hub the digest is the commit; it is
    asked for only with `hub`, and left out where the Hub cannot be reached.
    """
    return {name: digest for name, digest in _inputs(stage, data, here, digests, hub=hub) if digest}


def _inputs(
    stage: Stage, data: Path | None, here: Path | None, digests: Digests, *, hub: bool
) -> Iterator[tuple[str, str | None]]:
    match stage:
        case PrepareSpec():
            where = Where(stage.data, data, here)
            split = stage.source.split_of(stage.side)
            yield from _of_source(stage.source_name, stage.source, split, where, digests, hub=hub)
            yield from _of_base(stage.base, data, digests, TOKENIZER)
        case ItemsSpec():
            where = Where(stage.data, data, here)
            for name, source in stage.sources.items():
                for split in dict.fromkeys((source.split_of(stage.side), source.split)):
                    yield from _of_source(name, source, split, where, digests, hub=hub)
        case AdapterSpec():
            yield from _of_base(stage.base, data, digests, WEIGHTS)
        case TrainSpec():
            yield from _of_base(stage.leg.base, data, digests, WEIGHTS)
        case EvaluateSpec():
            yield from _of_base(stage.base, data, digests, (*WEIGHTS, *TOKENIZER, GENERATION))


def _of_source(
    name: str, source: Source, split: str | None, where: Where, digests: Digests, *, hub: bool
) -> Iterator[tuple[str, str | None]]:
    parts: list[Part] = []
    if split:
        with suppress(SourceMissing):
            parts = parts_of(name, source, split, where)
    kind = "own file" if source.files else "mirror"
    for part in parts:
        for path in part.paths:
            file = part.name if len(part.paths) == 1 else path.name
            yield f"source {name}, {split} ({kind}): {file}", digests.of(path)
        if part.hub is not None and hub:
            repository, _, _, revision, converted = part.hub
            commit = _commit(repository, "refs/convert/parquet" if converted else revision)
            yield f"source {name}, {split} (Hub): {repository} at {revision}", commit


@lru_cache(maxsize=256)
def _commit(repository: str, revision: str) -> str | None:
    """The commit that a revision of a data set stands for now; None where the Hub cannot be asked."""
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return None
    from huggingface_hub import HfApi

    try:
        return HfApi().dataset_info(repository, revision=revision, timeout=10).sha
    except Exception:  # the client raises many types; what is needed and not there is said by who reads it
        return None


def _of_base(base: Base, data: Path | None, digests: Digests, wanted: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    folder = present_folder(base, data)
    for path in sorted(folder.iterdir()) if folder else ():
        fits = path.name.startswith(wanted) or (".safetensors" in wanted and path.name.endswith(WEIGHTS[1:]))
        if fits and path.is_file():
            yield f"base {base.id}: {path.name}", digests.of(path)


def base_inputs(base: Base, data: Path | None, digests: Digests) -> dict[str, str]:
    """{name: digest} of the files that decide what a base computes, as far as it is here."""
    return dict(_of_base(base, data, digests, WEIGHTS))


def differing(recorded: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of files that are not as they were recorded, or are new beside recorded ones of the same kind.

    A file that is not here now, or was not recorded, does not count as changed.
    """
    groups = {name.partition(":")[0] for name in recorded}
    return [name for name, digest in now.items() if name.partition(":")[0] in groups and recorded.get(name) != digest]
