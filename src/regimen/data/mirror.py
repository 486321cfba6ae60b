"""A mirror: the sources and the base of a study as files, for machines without a network.

Owns which files of the Hub a study needs, fetching them through huggingface_hub at a fixed commit, and the manifest
that names and checks them. Files are kept as the Hub has them. A file is in its place only when it is whole and its
checksum is the Hub's, so a mirror that was killed goes on with the first file that is not there. Does not know plans.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from regimen.data.hub_files import HubFile, HubTable, listing
from regimen.data.sources import SUFFIXES
from regimen.errors import ModelError, RegimenError, SourceMissing
from regimen.files import write_json
from regimen.study.schema import Base
from regimen.study.sources import Source

MANIFEST = "manifest.json"
PARTIAL = ".partial"
BASE_FILES = re.compile(r"[^/]+\.(json|safetensors|txt|model|jinja)")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """One file of the Hub and where it goes: `commit` is what `revision` was when it was looked up."""

    kind: str
    repo: str
    revision: str
    commit: str
    file: str
    to: str
    bytes: int
    checksum: str


@dataclass(frozen=True)
class Kept:
    """A line of the manifest."""

    path: str
    bytes: int
    sha256: str
    repo: str
    revision: str
    commit: str
    file: str


def splits_of(source: Source) -> list[str]:
    """The splits that a study reads of a source: its training split, those held out and validated on."""
    return list(source.splits)


def mirror_source(name: str, source: Source, to: Path, say: Say) -> Iterator[Kept]:
    """Fetches what is missing of a source's splits; raises SourceMissing for what the Hub does not give."""
    assert source.hub is not None
    for config in source.configs:
        try:
            table = HubTable(source.hub, config, source.revision, source.parquet_branch)
            found = listing(table, splits_of(source)).splits
        except Exception as fault:  # the client raises many types: no network, no such repository, gated, a script
            raise SourceMissing(f"source {name!r}: {source.hub} cannot be read from the Hub: {_first(fault)}") from None
        for split in splits_of(source):
            if split not in found:
                there = ", ".join(sorted(found)) or "none"
                raise SourceMissing(f"source {name!r}: {source.hub} has no split {split!r}; it has {there}")
            yield from _mirror_split(name, source, config, split, found[split], to, say)


def mirror_base(base: Base, to: Path, say: Say) -> Iterator[Kept]:
    """Fetches a base model of the Hub: its configuration, tokenizer and safetensors weights."""
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        commit = api.model_info(base.id, revision=base.revision).sha or base.revision
        listed = [f.path for f in api.list_repo_tree(base.id, revision=commit) if BASE_FILES.fullmatch(f.path)]
        wanted = _described("model", base.id, base.revision, commit, [(file, f"{base.id}/{file}") for file in listed])
    except Exception as fault:
        raise ModelError(f"base model {base.id!r} cannot be read from the Hub: {_first(fault)}") from None
    for file in wanted:
        yield _keep(file, to, say)


def copy_file(origin: Path, path: str, to: Path, repo: str, revision: str) -> Kept:
    """Copies a local file into the mirror, unless it is there; for what is no file of the Hub."""
    target = to / path
    if not target.is_file() or target.stat().st_size != origin.stat().st_size:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name}.part")
        shutil.copyfile(origin, scratch)
        os.replace(scratch, target)
    return Kept(path, target.stat().st_size, _sha256(target), repo, revision, "", origin.name)


def write_manifest(to: Path, about: dict[str, Any], kept: list[Kept]) -> Path:
    """Writes the manifest, which has no dates: the same files give the same manifest."""
    files = [asdict(line) for line in sorted({line.path: line for line in kept}.values(), key=lambda line: line.path)]
    write_json(to / MANIFEST, about | {"files": files})
    shutil.rmtree(to / PARTIAL, ignore_errors=True)
    return to / MANIFEST


def _mirror_split(
    name: str, source: Source, config: str | None, split: str, files: list[HubFile], to: Path, say: Say
) -> Iterator[Kept]:
    folder = f"{source.hub}/{config}" if config else str(source.hub)
    suffix = next((s for s in SUFFIXES if files and files[0].file.endswith(s)), None)
    if suffix is None:
        kinds = ", ".join(sorted({Path(file.file).suffix for file in files})) or "none"
        raise SourceMissing(
            f"source {name!r}: the files of {folder}/{split} are {kinds}; {', '.join(SUFFIXES)} are read"
        )
    repo, commit = files[0].repo, files[0].commit
    if commit.startswith("refs/"):
        from huggingface_hub import HfApi

        commit = HfApi().dataset_info(repo, revision=commit).sha or commit
    many = len(files) > 1
    pairs = [
        (
            file.file,
            f"{folder}/{split}-{number:05d}-of-{len(files):05d}{suffix}" if many else f"{folder}/{split}{suffix}",
        )
        for number, file in enumerate(files)
    ]
    enough = source.limit if split == source.split and source.takes_first_rows else None
    rows = 0
    for wanted in _described("dataset", repo, source.revision, commit, pairs):
        if enough is not None and rows >= -(-enough // len(source.configs)):
            say(f"{name}: {wanted.to} and what follows is beyond the {enough:,} rows that are read")
            return
        kept = _keep(wanted, to, say)
        rows += _rows(to / kept.path)
        yield kept


def _rows(path: Path) -> int:
    """The rows of a parquet file; of any other kind of file none are counted, so all its shards are fetched."""
    if path.suffix != ".parquet":
        return 0
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def _described(kind: str, repo: str, revision: str, commit: str, pairs: list[tuple[str, str]]) -> Iterator[Wanted]:
    """Size and checksum of files: SHA-256 of large ones, git's blob id of others."""
    from huggingface_hub import HfApi

    try:
        listed = HfApi().get_paths_info(repo, [file for file, _ in pairs], revision=commit, repo_type=kind)
    except Exception as fault:  # as above
        raise RegimenError(f"{repo} cannot be read from the Hub: {_first(fault)}; run this again") from None
    about = {info.path: info for info in listed}
    for file, to in pairs:
        info: Any = about[file]
        checksum = f"sha256:{info.lfs.sha256}" if info.lfs else f"git:{info.blob_id}"
        yield Wanted(kind, repo, revision, commit, file, to, info.size, checksum)


def _keep(wanted: Wanted, to: Path, say: Say) -> Kept:
    """The file in its place: found there whole, or fetched, checked and moved there."""
    from huggingface_hub import hf_hub_download

    target = to / wanted.to
    if not _is_whole(target, wanted):
        say(f"{wanted.to}: {wanted.bytes / 1e6:,.1f} MB from {wanted.repo}@{wanted.commit[:12]}")
        partial = to / PARTIAL / wanted.kind / wanted.repo
        try:
            fetched = Path(
                hf_hub_download(
                    wanted.repo, wanted.file, repo_type=wanted.kind, revision=wanted.commit, local_dir=partial
                )
            )
        except Exception as fault:
            raise RegimenError(
                f"{wanted.repo}/{wanted.file} cannot be fetched: {_first(fault)}; run this again"
            ) from None
        if not _is_whole(fetched, wanted):
            fetched.unlink()
            raise RegimenError(f"{wanted.repo}/{wanted.file} came with another checksum than the Hub's; run this again")
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(fetched, target)
    sha = wanted.checksum[7:] if wanted.checksum.startswith("sha256:") else _sha256(target)
    return Kept(wanted.to, wanted.bytes, sha, wanted.repo, wanted.revision, wanted.commit, wanted.file)


def _is_whole(path: Path, wanted: Wanted) -> bool:
    if not path.is_file() or path.stat().st_size != wanted.bytes:
        return False
    if wanted.checksum.startswith("sha256:"):
        return _sha256(path) == wanted.checksum[7:]
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == wanted.checksum[4:]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first(fault: Exception) -> str:
    return str(fault).splitlines()[0][:200] if str(fault) else type(fault).__name__
