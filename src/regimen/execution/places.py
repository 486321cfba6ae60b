"""How a machine is divided into workers: devices, cores, threads. Loads no torch.

Owns the plain facts that pools hand to their workers. Does not know jobs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regimen.plan import Plan
from regimen.stages.place import Place


@dataclass(frozen=True)
class Settings:
    """Where and how a plan is run; no result depends on it beyond rounding.

    `gpus` is how many of this machine's GPUs are used (all by default), `workers` how many processes (one a GPU; on
    CPUs one, or one a core for a packaged base), `trackers` what hears of losses and scores besides our own files.
    """

    out: Path
    data: Path | None = None
    here: Path | None = None
    pool: str = "local"
    ray_address: str | None = None
    workers: int | None = None
    gpus: int | None = None
    skip_missing: bool = False
    checkpoint_seconds: float = 60.0
    pass_tokens: int | None = None
    compiled: bool = False
    trackers: tuple[str, ...] = ()


def place_of(settings: Settings, cache: Path) -> dict[str, Any]:
    """What every worker of a run is told of where it runs, but for its device and threads."""
    return {
        "stages": str((settings.out / "stages").resolve()),
        "cache": str(cache),
        "data": str(settings.data.resolve()) if settings.data else None,
        "here": str(settings.here.resolve()) if settings.here else None,
        "checkpoint_seconds": settings.checkpoint_seconds,
        "pass_tokens": settings.pass_tokens,
        "compiled": settings.compiled,
        "skip_missing": settings.skip_missing,
    }


def local_places(settings: Settings, plan: Plan, cache: Path) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """For each worker of this machine its place and its environment: one a GPU, or cores divided among them."""
    place = place_of(settings, cache)
    gpus = visible_gpus() if settings.gpus is None else settings.gpus
    if gpus:
        count = settings.workers or gpus
        places = [Place(**place, device="cuda:0").to_json() for _ in range(count)]
        return places, [{"CUDA_VISIBLE_DEVICES": _device(slot % gpus)} for slot in range(count)]
    count = settings.workers or default_workers(plan)
    threads = max(1, available_cores() // count)
    places = [Place(**place, threads=threads).to_json() for _ in range(count)]
    return places, [{"OMP_NUM_THREADS": str(threads)}] * count


def _device(index: int) -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[index] if visible else str(index)


def visible_gpus() -> int:
    """NVIDIA GPUs that this process may use, found without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers(plan: Plan) -> int:
    """A worker a core for a packaged (tiny) base, whose products are too small to share; else one with all cores."""
    return available_cores() if plan.study.base.origin == "packaged" else 1
