"""The division of a machine into workers: devices, cores, threads. Loads no torch.

Owns the setup and environment of each worker of this machine. Does not know jobs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from regimen.errors import UsageError
from regimen.plan import Plan
from regimen.stages.options import RunOptions, WorkerSetup

CLUSTER_WORKERS = 8


@dataclass(frozen=True)
class LocalWorker:
    """The setup of one worker process, and the environment variables that it gets besides the driver's."""

    setup: WorkerSetup
    environment: Mapping[str, str]


def local_workers(options: RunOptions, plan: Plan, cache: Path) -> list[LocalWorker]:
    """The workers of this machine: one for each GPU, or its cores divided among them; raises UsageError."""
    options = options.absolute()
    gpus = visible_gpus() if options.gpus is None else options.gpus
    count = options.workers or gpus or default_workers(plan)
    if gpus:
        setup = WorkerSetup(options, cache, device="cuda:0", threads=chosen_threads())
        return [LocalWorker(setup, {"CUDA_VISIBLE_DEVICES": _device(slot % gpus)}) for slot in range(count)]
    threads = threads_of(count)
    setup = WorkerSetup(options, cache, threads=threads)
    return [LocalWorker(setup, {"OMP_NUM_THREADS": str(threads)})] * count


def threads_of(workers: int) -> int:
    """Threads of each worker: OMP_NUM_THREADS, else its share of this machine's cores; raises UsageError."""
    return chosen_threads() or max(1, available_cores() // workers)


def chosen_threads() -> int | None:
    """The threads of a worker as OMP_NUM_THREADS sets them, None where it does not; raises UsageError for nonsense."""
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise UsageError(f"OMP_NUM_THREADS is {text!r}; set it to a number of threads, at least 1, or unset it")
    return int(text)


def _device(index: int) -> str:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return visible.split(",")[index] if visible else str(index)


def visible_gpus() -> int:
    """The number of NVIDIA GPUs that this process may use, counted without torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))


def available_cores() -> int:
    """The number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_workers(pool: str, workers: int | None, gpus: int | None, address: str | None) -> int | None:
    """The number of workers with a GPU that a run will have, before it starts; None where it computes on CPUs.

    A cluster does not say how many it will be; without --workers it counts as CLUSTER_WORKERS.
    """
    here = visible_gpus() if gpus is None else gpus
    if not here:
        return None
    cluster = pool == "ray" and address not in (None, "local")
    return workers or (max(here, CLUSTER_WORKERS) if cluster else here)


def default_workers(plan: Plan) -> int:
    """One worker for each core where the base is packaged (tiny), as its products are too small to share; else 1."""
    return available_cores() if plan.study.base.origin == "packaged" else 1
