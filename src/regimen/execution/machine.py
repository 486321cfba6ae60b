"""The division of a machine into workers: GPUs, cores, threads. Loads no torch.

Owns the setup and environment of each worker of this machine. Does not know jobs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from regimen.errors import UsageError
from regimen.gpus import VISIBLE, Gpu
from regimen.plan import Plan
from regimen.stages.options import RunOptions, WorkerSetup

CLUSTER_WORKERS = 8
THREADS = "OMP_NUM_THREADS"
# Memory of a GPU is then mapped page by page, so that blocks of many sizes leave no holes (torch, "CUDA semantics").
ALLOCATOR = {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}
ALLOCATOR_NAMES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")  # the second is its name of old


@dataclass(frozen=True)
class LocalWorker:
    """The setup of one worker process, and the environment variables that it gets besides the driver's."""

    setup: WorkerSetup
    environment: Mapping[str, str]

    @property
    def device(self) -> str:
        """The device that it computes on, as other workers of it name it too."""
        return self.environment.get(VISIBLE) or self.setup.device


def local_workers(options: RunOptions, plan: Plan, cache: Path, gpus: Sequence[Gpu]) -> list[LocalWorker]:
    """The workers of this machine: one for each GPU, or its cores divided among them; raises UsageError.

    More workers than GPUs share them, and the memory of each; all by the same number, so that all round alike.
    """
    options = options.absolute()
    count = options.workers or len(gpus) or default_workers(plan)
    threads = threads_of(count)
    if not gpus:
        setup = WorkerSetup(options, cache, threads=threads)
        return [LocalWorker(setup, {THREADS: str(threads), VISIBLE: ""})] * count
    setup = WorkerSetup(options, cache, device="cuda:0", threads=threads, sharers=math.ceil(count / len(gpus)))
    return [
        LocalWorker(setup, {THREADS: str(threads), VISIBLE: gpus[slot % len(gpus)].device, **allocator()})
        for slot in range(count)
    ]


def allocator() -> dict[str, str]:
    """The settings of torch's allocator of GPU memory, where the user has made none."""
    return {} if any(name in os.environ for name in ALLOCATOR_NAMES) else dict(ALLOCATOR)


def threads_of(workers: int) -> int:
    """Threads of each worker: OMP_NUM_THREADS, else its share of this machine's cores; raises UsageError."""
    return chosen_threads() or max(1, available_cores() // workers)


def chosen_threads() -> int | None:
    """The threads of a worker as OMP_NUM_THREADS sets them, None where it does not; raises UsageError for nonsense."""
    text = os.environ.get(THREADS, "").split(",")[0].strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise UsageError(f"{THREADS} is {text!r}; set it to a number of threads, at least 1, or unset it")
    return int(text)


def available_cores() -> int:
    """The number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers(plan: Plan) -> int:
    """One worker for each core where every base is packaged (tiny), as its products are too small to share; else 1."""
    return available_cores() if all(base.origin == "packaged" for base in plan.study.bases) else 1
