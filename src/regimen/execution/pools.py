"""The pools by name, and the choice of one.

Owns what `--pool`, `--ray-address`, `--workers` and `--gpus` come to. Does not know jobs.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from regimen.errors import MachineError, UsageError
from regimen.execution.local_pool import LocalPool
from regimen.execution.places import Settings, available_cores, default_workers, local_places, place_of, visible_gpus
from regimen.execution.pool import Pool
from regimen.files import cache_home
from regimen.plan import Plan
from regimen.stages.place import Place

POOLS = ("local", "ray")
CONNECT_SECONDS = 5.0


def check_pool(settings: Settings) -> None:
    """Raises UsageError for a pool that is none, and for options that no pool could follow."""
    if settings.pool not in POOLS:
        raise UsageError(f"no pool {settings.pool!r}; there is {' and '.join(POOLS)}")
    if settings.ray_address is not None and settings.pool != "ray":
        raise UsageError(f"--ray-address {settings.ray_address!r} needs --pool ray")
    if settings.ray_address not in (None, "local", "auto"):
        _check_address(str(settings.ray_address))
    found = visible_gpus()
    if settings.pool == "local" and settings.gpus is not None and settings.gpus > found:
        raise UsageError(f"--gpus is {settings.gpus}; this machine shows {found}")


def _check_address(address: str) -> None:
    """Asks whether anything listens there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address:
        raise UsageError(f"--ray-address is {address!r}; it must be local, auto or host:port")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as fault:
        raise MachineError(
            f"no Ray cluster at {address!r} ({fault.strerror or fault}); start one with `ray start`, or leave "
            "--ray-address out for one of this machine"
        ) from None


def cache_of(settings: Settings) -> Path:
    """Where workers keep what can be made again.

    On a cluster of several machines it lies in the run folder, which they share, unless REGIMEN_CACHE says where.
    """
    shared = settings.pool == "ray" and settings.ray_address not in (None, "local")
    if shared and not os.environ.get("REGIMEN_CACHE"):
        return (settings.out / "cache").resolve()
    return cache_home()


def make_pool(settings: Settings, plan: Plan) -> Pool:
    """The pool of a run."""
    cache = cache_of(settings)
    logs = (settings.out / "logs").resolve()
    if settings.pool == "local":
        return _local(settings, plan, cache, logs)
    from regimen.execution.ray_pool import RayPool

    address = settings.ray_address or "local"
    gpus = visible_gpus() if settings.gpus is None else settings.gpus
    workers = settings.workers or (gpus or default_workers(plan) if address == "local" else None)
    threads = max(1, available_cores() // workers) if workers and address == "local" else 1
    share = min(1.0, gpus / workers) if gpus and workers else float(bool(gpus))
    place = Place(**place_of(settings, cache), threads=threads).to_json()
    return RayPool(place, logs, address, workers, threads, share)


def _local(settings: Settings, plan: Plan, cache: Path, logs: Path) -> LocalPool:
    places, environments = local_places(settings, plan, cache)
    return LocalPool(places, logs, environments)
