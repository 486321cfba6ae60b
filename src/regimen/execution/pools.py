"""The pools by name, the choice of one, and the check of the options that decide it.

Owns the meaning of `--pool`, `--ray-address`, `--slurm`, `--workers` and `--gpus`. Does not know jobs.
"""

from __future__ import annotations

import math
import os
import socket
import tempfile
from pathlib import Path

from regimen.errors import MachineError, UsageError
from regimen.execution.devices import check_devices, on_cluster, refuse_long, usable_gpus
from regimen.execution.local_pool import LocalPool
from regimen.execution.machine import chosen_threads, default_workers, local_workers, threads_of
from regimen.execution.pool import Pool
from regimen.execution.slurm_pool import SlurmPool, slurm_values
from regimen.files import cache_home
from regimen.plan import Plan
from regimen.results import layout
from regimen.stages.options import RunOptions, WorkerSetup

POOLS = ("local", "ray", "slurm")
CONNECT_SECONDS = 5.0


def check_options(options: RunOptions) -> None:
    """Raises UsageError for options that no pool could follow, MachineError for a cluster that does not answer."""
    if options.pool not in POOLS:
        raise UsageError(f"--pool is {options.pool!r}; it must be local, ray or slurm")
    if options.ray_address is not None and options.pool != "ray":
        raise UsageError(f"--ray-address {options.ray_address!r} needs --pool ray")
    if options.slurm and options.pool != "slurm":
        raise UsageError(f"--slurm {options.slurm[0]!r} needs --pool slurm")
    if options.pool == "slurm" and options.workers is None:
        raise UsageError("--pool slurm needs --workers N, the number of Slurm jobs, each with one worker")
    slurm_values(options.slurm)
    if options.workers is not None and options.workers < 1:
        raise UsageError(f"--workers is {options.workers}; it must be at least 1")
    if not (math.isfinite(options.checkpoint_seconds) and options.checkpoint_seconds >= 0):
        raise UsageError(f"--checkpoint-seconds is {options.checkpoint_seconds}; it must be a number, at least 0")
    chosen_threads()
    check_devices(options)
    if options.ray_address not in (None, "local", "auto"):
        _check_address(str(options.ray_address))


def _check_address(address: str) -> None:
    """Raises UsageError for a malformed address and MachineError where nothing listens; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address:
        raise UsageError(f"--ray-address is {address!r}; it must be local, auto or host:port")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as fault:
        raise MachineError(
            f"no Ray cluster at {address!r} ({fault.strerror or fault}); start one with `ray start`, or omit "
            "--ray-address to start one on this machine"
        ) from None


def cache_of(options: RunOptions) -> Path:
    """The folder of the workers' cache.

    On a cluster of several machines it lies in the run folder, which they share, unless REGIMEN_CACHE names another.
    """
    if on_cluster(options) and not os.environ.get("REGIMEN_CACHE"):
        return (options.out / "cache").resolve()
    return cache_home()


def check_cache(options: RunOptions) -> None:
    """Makes the cache's folder; raises MachineError where it cannot be written, as below a HOME that is not there."""
    cache = cache_of(options)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as fault:
        raise MachineError(
            f"the cache folder {cache} cannot be written ({fault.strerror or fault}); name another one in "
            "REGIMEN_CACHE, or set HOME to a folder of yours"
        ) from None


def make_pool(options: RunOptions, plan: Plan) -> Pool:
    """The pool of a run; raises UsageError or MachineError where it cannot be made."""
    cache = cache_of(options)
    logs = (options.out / layout.LOGS).resolve()
    if options.pool == "local":
        return LocalPool(local_workers(options, plan, cache, usable_gpus(options)), logs)
    if options.pool == "slurm":
        return _slurm_pool(options, plan, cache, logs)
    from regimen.execution.ray_pool import RayPool

    address = options.ray_address or "local"
    here = not on_cluster(options)
    gpus = len(usable_gpus(options)) if here else options.gpus
    workers = options.workers or (gpus or default_workers(plan) if here else None)
    threads = threads_of(workers) if workers and here else chosen_threads() or 1
    share = _share(gpus, workers, options.device)
    pool = RayPool(WorkerSetup(options.absolute(), cache, threads=threads), logs, address, workers, threads, share)
    if not here and not pool.gpus:
        refuse_long(plan, options)
    return pool


def _slurm_pool(options: RunOptions, plan: Plan, cache: Path, logs: Path) -> SlurmPool:
    """Its jobs ask for one GPU, unless the run is for CPUs."""
    values = slurm_values(options.slurm)
    on_cpus = options.device == "cpu" or options.gpus == 0 or values.get("cluster") == "local"
    values = {"gpus": "0" if on_cpus else "1", "cpus": str(chosen_threads() or 1), **values}
    if values["gpus"] == "0":
        refuse_long(plan, options)
    setup = WorkerSetup(options.absolute(), cache, threads=int(values["cpus"]))
    return SlurmPool(setup, logs, options.workers or 1, values)


def _share(gpus: int | None, workers: int | None, device: str | None) -> float | None:
    """The part of a GPU that each worker of a Ray cluster gets; None: a whole one if the cluster has any."""
    if device == "cpu" or gpus == 0:
        return 0.0
    if gpus is None:
        return 1.0 if device == "cuda" else None
    return min(1.0, gpus / workers) if workers else 1.0
