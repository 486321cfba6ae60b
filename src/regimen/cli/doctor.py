"""`regimen doctor`: checks versions, devices, memory, disk, the sandbox, and a study's sources and base."""

from __future__ import annotations

import json
import platform
import shutil
import sqlite3
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated

import typer

from regimen.cli.options import DataOption, JsonOption, ProfileOption, TrustOption, folder_of
from regimen.cli.terminal import say

if TYPE_CHECKING:
    from pathlib import Path

    from regimen.data.sources import Where
    from regimen.plan import Plan
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
    gpu_names: tuple[str, ...]
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
    hub: str  # "asked", "not asked", "not needed"


@dataclass(frozen=True)
class _Report:
    """This machine's equipment; `faults` are why the study cannot run here, `cautions` what else matters."""

    machine: _Machine
    packages: dict[str, str | None]
    sandbox: _Sandbox
    study: _Study | None
    faults: tuple[str, ...]
    cautions: tuple[str, ...] = ()

    def to_json(self) -> str:
        plain = asdict(self)
        if self.study is None:
            del plain["study"]
        return json.dumps(plain, indent=2, ensure_ascii=False)


def doctor(
    study: Annotated[str | None, typer.Argument(help="A packaged study or the path of a YAML file.")] = None,
    profile: ProfileOption = None,
    data: DataOption = None,
    hub: Annotated[bool, typer.Option("--hub", help="Also ask the Hub for each source and the base.")] = False,
    trust_code: TrustOption = False,
    json_output: JsonOption = False,
) -> None:
    """Check this machine and, if one is given, a study; exit code 2 if the study cannot run here."""
    from regimen.api import load_and_compile
    from regimen.data.sources import Where

    machine = _machine()
    about, faults, cautions = None, [], []
    if study is not None:
        plan = load_and_compile(study, profile=profile, data=data, here=folder_of(study), trust_code=trust_code)
        about, faults = _study(plan, Where(plan.study.data, data, folder_of(study)), machine, ask_hub=hub)
        cautions = _cautions(study, plan, machine, about, data)
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        faults.append(f"SQLite is {sqlite3.sqlite_version}, regimen needs 3.7 or later; install a newer Python")
    report = _Report(machine, _packages(), _sandbox(), about, tuple(faults), tuple(cautions))
    if json_output:
        typer.echo(report.to_json())
    else:
        say(_text(report))
    if faults:
        raise typer.Exit(2)


def _machine() -> _Machine:
    import psutil

    from regimen.execution.machine import available_cores
    from regimen.files import cache_home
    from regimen.gpus import visible
    from regimen.study import cpu_has_bf16

    cache = cache_home()
    there = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
    memory, gpus = psutil.virtual_memory(), visible()
    return _Machine(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cores=available_cores(),
        bf16=cpu_has_bf16(),
        gpus=len(gpus),
        gpu_names=tuple(gpu.name for gpu in gpus),
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


def _study(plan: Plan, where: Where, machine: _Machine, *, ask_hub: bool) -> tuple[_Study, list[str]]:
    """The state of the study's base and sources on this machine, and its faults."""
    from regimen.stages.availability import missing_base, missing_harness, source_states

    sources = source_states(plan.study, where)
    base = missing_base(plan, where.data)
    faults = [f"source {name!r}: {state.why}" for name, state in sources.items() if state.state in AMISS]
    faults += [*missing_harness(plan.study), *([base] if base else [])]
    reads_hub = any(state.state == "on the Hub" for state in sources.values()) or (
        where.data is None and any(base.origin == "hub" for base in plan.study.bases)
    )
    if ask_hub and reads_hub:
        from regimen.stages.hub_check import hub_faults

        faults += hub_faults(plan.study, where)
    size = sum(state.bytes for state in sources.values())
    needed = round(size * TOKENS_PER_BYTE * BLOCK_BYTES * 2)
    free = machine.disk_free_bytes
    if needed > free:
        faults.append(f"the cache of blocks needs about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free")
    about = _Study(
        plan.study.study,
        plan.study.profile,
        _Base(", ".join(one.id for one in plan.study.bases), base),
        sources,
        size,
        cache_bytes_estimate=needed,
        hub="not needed" if not reads_hub else "asked" if ask_hub else "not asked",
    )
    return about, faults


def _cautions(study: str, plan: Plan, machine: _Machine, about: _Study, data: Path | None) -> list[str]:
    """What lets the study run here, but not as the user may expect."""
    from regimen.execution.devices import LONGEST_HOURS, hours_on_cpus
    from regimen.study.loading import profile_names

    cautions = []
    if not machine.gpus and (hours := hours_on_cpus(plan, data))[0] > LONGEST_HOURS:
        others = [name for name in profile_names(study) if name != about.profile]
        smaller = f"try the profile {' or '.join(others)}" if others else "plan fewer steps or take a smaller base"
        cautions.append(
            f"the profile {about.profile} is not for this machine, which has no GPU: its trainings would take about "
            f"{hours[0]:,.0f} hours here ({hours[1]}), and `run` asks for --device cpu; {smaller}"
        )
    if about.hub == "not asked":
        cautions.append("the Hub was not asked for its rows and weights; --hub asks it, and fetches nothing")
    return cautions


def _names(machine: _Machine) -> str:
    counts = Counter(machine.gpu_names)
    return f" ({', '.join(f'{count} {name}' for name, count in counts.items())})" if counts else ""


def _text(report: _Report) -> str:
    machine, sandbox, about = report.machine, report.sandbox, report.study
    lines = [
        f"python {machine.python}, {machine.system}, {machine.cores} cores"
        f"{' with bf16' if machine.bf16 else ''}, {machine.gpus} GPUs{_names(machine)}, SQLite {machine.sqlite}",
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
        unknown = " of the rows that are here" if any(s.state == "on the Hub" for s in about.sources.values()) else ""
        lines.append(f"  cache of blocks{unknown}: about {about.cache_bytes_estimate / 1e9:.2f} GB")
    lines += [f"caution: {caution}" for caution in report.cautions]
    lines += [f"missing: {fault}" for fault in report.faults] or ["nothing is missing"]
    return "\n".join(lines)
