"""`regimen doctor`: checks versions, devices, memory, disk, the sandbox, and a study's sources and base."""

from __future__ import annotations

import json
import platform
import shutil
import sqlite3
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import DataOption, JsonOption, ProfileOption, TrustOption, folder_of
from regimen.cli.terminal import say

if TYPE_CHECKING:
    from regimen.stages.availability import SourceState

PACKAGES = (
    "regimen-lm",
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "huggingface-hub",
    "peft",
)
OPTIONAL = ("ray", "lm-eval", "gguf")
AMISS = ("missing", "unreadable")
OLDEST_SQLITE = (3, 7, 0)  # write-ahead logging
BLOCK_BYTES = 4.2  # what a token of a cached block takes at most, at 512 tokens a block
TOKENS_PER_BYTE = 0.25


@dataclass(frozen=True)
class _Machine:
    python: str
    system: str
    cores: int
    bf16: bool
    gpus: int
    memory_bytes: int
    memory_free_bytes: int
    cache: str
    disk_free_bytes: int
    sqlite: str


@dataclass(frozen=True)
class _Sandbox:
    works: bool
    reason: str | None


@dataclass(frozen=True)
class _Base:
    id: str
    missing: str | None


@dataclass(frozen=True)
class _Study:
    study: str
    profile: str
    base: _Base
    sources: dict[str, SourceState]
    sources_bytes: int
    cache_bytes_estimate: int


@dataclass(frozen=True)
class _Report:
    """This machine's equipment; `faults` are the reasons why the study cannot run here."""

    machine: _Machine
    packages: dict[str, str | None]
    sandbox: _Sandbox
    study: _Study | None
    faults: tuple[str, ...]

    def to_json(self) -> str:
        plain = asdict(self)
        if self.study is None:
            del plain["study"]
        return json.dumps(plain, indent=2, ensure_ascii=False)


def doctor(
    study: Annotated[str | None, typer.Argument(help="A packaged study or the path of a YAML file.")] = None,
    profile: ProfileOption = None,
    data: DataOption = None,
    trust_code: TrustOption = False,
    json_output: JsonOption = False,
) -> None:
    """Check this machine and, if one is given, a study; exit code 2 if the study cannot run here."""
    machine = _machine()
    about, faults = _study(study, profile, data, machine, trust_code) if study is not None else (None, [])
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        faults.append(f"SQLite is {sqlite3.sqlite_version}, regimen needs 3.7 or later; install a newer Python")
    report = _Report(machine, _packages(), _sandbox(), about, tuple(faults))
    if json_output:
        typer.echo(report.to_json())
    else:
        say(_text(report))
    if faults:
        raise typer.Exit(2)


def _machine() -> _Machine:
    import psutil

    from regimen.execution.machine import available_cores, visible_gpus
    from regimen.files import cache_home
    from regimen.study.loading import cpu_has_bf16

    cache = cache_home()
    there = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
    memory = psutil.virtual_memory()
    return _Machine(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=available_cores(),
        bf16=cpu_has_bf16(),
        gpus=visible_gpus(),
        memory_bytes=memory.total,
        memory_free_bytes=memory.available,
        cache=str(cache),
        disk_free_bytes=shutil.disk_usage(there).free,
        sqlite=sqlite3.sqlite_version,
    )


def _packages() -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for package in PACKAGES + OPTIONAL:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions


def _sandbox() -> _Sandbox:
    from regimen.evaluation.sandbox import why_not

    reason = why_not()
    return _Sandbox(reason is None, reason)


def _study(
    study: str, profile: str | None, data: Path | None, machine: _Machine, trust_code: bool
) -> tuple[_Study, list[str]]:
    """The state of the study's base and sources on this machine, and its faults."""
    from regimen.api import load_and_compile
    from regimen.data.sources import Where
    from regimen.stages.availability import missing_base, missing_harness, source_states

    plan = load_and_compile(study, profile=profile, trust_code=trust_code)
    sources = source_states(plan.study, Where(plan.study.data, data, folder_of(study)))
    base = missing_base(plan, data)
    faults = [f"source {name!r}: {state.why}" for name, state in sources.items() if state.state in AMISS]
    faults += [*missing_harness(plan.study), *([base] if base else [])]
    size = sum(state.bytes for state in sources.values())
    needed = round(size * TOKENS_PER_BYTE * BLOCK_BYTES * 2)
    free = machine.disk_free_bytes
    if needed > free:
        faults.append(f"the cache of blocks needs about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
    about = _Study(
        plan.study.study,
        plan.study.profile,
        _Base(plan.study.base.id, base),
        sources,
        size,
        cache_bytes_estimate=needed,
    )
    return about, faults


def _text(report: _Report) -> str:
    machine, sandbox, about = report.machine, report.sandbox, report.study
    lines = [
        f"python {machine.python}, {machine.system}, {machine.cores} cores"
        f"{' with bf16' if machine.bf16 else ''}, {machine.gpus} GPUs, SQLite {machine.sqlite}",
        f"memory {machine.memory_bytes / 1e9:.1f} GB, {machine.memory_free_bytes / 1e9:.1f} GB free; "
        f"disk {machine.disk_free_bytes / 1e9:.1f} GB free at {machine.cache}",
        "packages " + ", ".join(f"{name} {number or '-'}" for name, number in report.packages.items()),
        "sandbox works" if sandbox.works else f"no sandbox, so `code` is skipped: {sandbox.reason}",
    ]
    if about:
        lines.append(f"study {about.study}, profile {about.profile}, base {about.base.id}")
        for name, state in about.sources.items():
            size = f" {state.bytes / 1e6:,.1f} MB" if state.bytes else ""
            note = f" - {state.stand_in}" if state.stand_in else ""
            lines.append(f"  {name:20} {state.state}{size} {state.why or ''}{note}".rstrip())
        lines.append(f"  cache of blocks: about {about.cache_bytes_estimate / 1e9:.2f} GB")
    lines += [f"missing: {fault}" for fault in report.faults] or ["nothing is missing"]
    return "\n".join(lines)
