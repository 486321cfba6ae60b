"""The devices of a run: which GPUs its workers use, and whether it may be computed on CPUs without being asked.

Owns the meaning of `--device` and `--gpus`, and their checks before anything starts. Loads no torch. Does not know
workers.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from regimen.errors import UsageError
from regimen.execution.machine import CLUSTER_WORKERS, available_cores
from regimen.gpus import Gpu, visible
from regimen.plan import Plan
from regimen.plan.rates import measured_hours, remembered
from regimen.stages.cpu_hours import cpu_hours
from regimen.stages.options import RunOptions

DEVICES = ("cpu", "cuda")
LONGEST_HOURS = 24.0  # of training on CPUs that nobody has asked for


def usable_gpus(options: RunOptions) -> tuple[Gpu, ...]:
    """The GPUs of this machine that a run's workers use; none with --device cpu."""
    return () if options.device == "cpu" else visible()[: options.gpus]


def gpu_workers(options: RunOptions) -> int | None:
    """The number of workers with a GPU that a run will have, before it starts; None where it computes on CPUs.

    A cluster does not say how many it will be; without --workers it counts as CLUSTER_WORKERS.
    """
    if options.pool == "slurm":
        on_cpus = options.device == "cpu" or options.gpus == 0 or {"gpus=0", "cluster=local"} & set(options.slurm)
        return None if on_cpus else options.workers
    here = len(visible()) if options.gpus is None else options.gpus
    if not here or options.device == "cpu":
        return None
    return options.workers or (max(here, CLUSTER_WORKERS) if on_cluster(options) else here)


def on_cluster(options: RunOptions) -> bool:
    """Whether the workers of a run may be on other machines than this."""
    return options.pool == "slurm" or (options.pool == "ray" and options.ray_address not in (None, "local"))


def check_devices(options: RunOptions) -> None:
    """Raises UsageError for devices that are not there, or that contradict each other."""
    if options.device is not None and options.device not in DEVICES:
        raise UsageError(f"--device is {options.device!r}; it must be {' or '.join(DEVICES)}")
    if options.gpus is not None and options.gpus < 0:
        raise UsageError(f"--gpus is {options.gpus}; it must be 0 or more")
    if options.device == "cpu" and options.gpus:
        raise UsageError(f"--gpus {options.gpus} and --device cpu contradict each other; leave one out")
    if options.device == "cuda" and options.gpus == 0:
        raise UsageError("--gpus 0 and --device cuda contradict each other; leave one out")
    if options.pool != "local" or options.device == "cpu" or options.gpus == 0:
        return
    there = visible()
    if options.gpus is not None and options.gpus > len(there):
        raise UsageError(f"--gpus is {options.gpus}; this machine shows {len(there)}")
    if options.device == "cuda" and not there:
        raise UsageError(
            "--device is cuda and no GPU is visible; look at nvidia-smi and CUDA_VISIBLE_DEVICES, or leave it out"
        )
    if there and _torch_of_the_cpu():
        raise UsageError(
            f"this machine shows {_gpus(len(there))}, which the installed torch ({_torch()}) cannot use; install one "
            "built with CUDA, or give --device cpu"
        )


def check_meant(plan: Plan, options: RunOptions) -> None:
    """Raises UsageError where training would go to CPUs, for more than a day, and nobody has asked for that."""
    if not on_cluster(options) and not usable_gpus(options):
        refuse_long(plan, options)


def refuse_long(plan: Plan, options: RunOptions) -> None:
    """Raises UsageError where training on CPUs takes long and was not asked for."""
    if options.device == "cpu" or options.gpus == 0:
        return
    hours, how = hours_on_cpus(plan, options.data)
    if hours > LONGEST_HOURS:
        raise UsageError(
            f"no GPU is visible, and {plan.study.base.id} on this machine's {available_cores()} cores would train for "
            f"about {hours:,.0f} hours ({how}); run it where a GPU is, take a smaller profile or base, or give "
            "--device cpu to mean it"
        )


def hours_on_cpus(plan: Plan, data: Path | None) -> tuple[float, str]:
    """The hours of a plan's training on this machine's CPUs, and the origin of the figure."""
    measured = measured_hours(plan, remembered(plan.study))
    if measured is not None:
        return measured.hours_to_run, f"measured {measured.measured}"
    return cpu_hours(plan, data, available_cores()), "estimated; `regimen bench` measures it"


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


def _torch() -> str:
    try:
        return version("torch")
    except PackageNotFoundError:
        return "none"


def _torch_of_the_cpu() -> bool:
    return _torch().endswith("+cpu")
