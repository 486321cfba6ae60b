"""This machine's measured rates: what `regimen bench` found, kept in the cache, read by `plan` and `run`.

Owns the file and what a rate holds for: this hardware, this base, this shape of step. Does not measure, and loads
nothing heavy.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from regimen.files import cache_home, write_json
from regimen.gpus import visible
from regimen.plan.plan import Plan
from regimen.plan.step_times import StepTimes
from regimen.study import Study

FILE = "rates.json"


@dataclass(frozen=True)
class Rate:
    """The chosen setting of a machine for one base and step, and what it was measured to give one worker."""

    device: str
    measured: str
    workers: int
    width: int
    pass_tokens: int
    compiled: bool
    steps_per_hour: float
    tokens_per_second: float
    mfu: float
    by_width: tuple[tuple[int, float], ...] = ()  # adapters together, and the steps of all of them in an hour

    @property
    def times(self) -> StepTimes | None:
        """The hours of a step by width, where they were measured."""
        if not self.by_width:
            return None
        return StepTimes(tuple((width, width / steps) for width, steps in self.by_width), f"measured {self.measured}")

    @property
    def machine_steps_per_hour(self) -> float:
        """Of all workers, taken to scale."""
        return self.steps_per_hour * self.workers


def hardware() -> str:
    """This machine's processor, cores and visible GPUs, found without torch; what a rate is remembered by."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpus = sorted(gpu.name for gpu in visible())
    processor = _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine()
    return ", ".join([processor, f"{cores} cores", *gpus])


def _field(path: Path, name: str) -> str:
    try:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    except OSError:
        pass
    return ""


def key_of(study: Study) -> str:
    """The key under which a rate of this study is remembered: hardware, base, precision, adapter, shape of a step."""
    base, adapter, batch = study.base, study.adapter, study.batch
    targets = adapter.targets if isinstance(adapter.targets, str) else "+".join(adapter.targets)
    kind = adapter.method if adapter.method == "full" else f"r={adapter.rank} {targets}"
    shape = f"{batch.sequences} x {batch.block}"
    return " | ".join([hardware(), f"{base.id}@{base.revision} {base.precision}", kind, shape])


def remembered(study: Study) -> Rate | None:
    """The rate of this study on this machine, if one was measured."""
    value = _read().get(key_of(study))
    try:
        return Rate(**{**value, "by_width": _widths(value.get("by_width", ()))}) if value else None
    except (TypeError, ValueError, AttributeError):  # of an older version
        return None


def _widths(value: Any) -> tuple[tuple[int, float], ...]:
    points = tuple(sorted((int(width), float(steps)) for width, steps in value))
    if any(width < 1 or not steps > 0 for width, steps in points):
        raise ValueError(value)
    return points


def remember(study: Study, rate: Rate) -> Path:
    """Keeps a rate; returns the file."""
    path = cache_home() / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**_read(), key_of(study): asdict(rate)})
    return path


def _read() -> dict[str, Any]:
    try:
        value = json.loads((cache_home() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, kw_only=True)
class MeasuredHours(Rate):
    """A rate, and the hours that a plan's training takes by it: without sharing, and as it is run."""

    hours_planned: float
    hours_to_run: float


def measured_hours(plan: Plan, rate: Rate | None) -> MeasuredHours | None:
    """The hours of the plan's training on this machine by its measured rate."""
    if rate is None:
        return None
    planned = sum(planned.steps for planned in plan.experiments)
    return MeasuredHours(
        **asdict(rate),
        hours_planned=round(planned / rate.machine_steps_per_hour, 6),
        hours_to_run=round(plan.steps_to_run / rate.machine_steps_per_hour, 6),
    )
