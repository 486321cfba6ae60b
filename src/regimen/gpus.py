"""The NVIDIA GPUs of this machine, and those that this process may use, found without torch.

Owns the inventory (NVML, the driver's own library; without it the driver's files) and the meaning of
CUDA_VISIBLE_DEVICES. Asking opens no CUDA context, so that workers may be forked afterwards. Does not know workers.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"
LIBRARY = "libnvidia-ml.so.1"
FILES = Path("/proc/driver/nvidia/gpus")
_TEXT = 96  # bytes: NVML_DEVICE_UUID_V2_BUFFER_SIZE, and no name is longer
_MIG_ON = 1


@dataclass(frozen=True)
class Gpu:
    """A GPU, or an instance of one that is divided (MIG). `device` is a name of it that CUDA_VISIBLE_DEVICES takes;
    `instances` are those of a divided GPU, which computes through them alone; `memory` in bytes, 0 where unknown."""

    device: str
    name: str
    memory: int = 0
    divided: bool = False
    instances: tuple[Gpu, ...] = ()


def visible() -> tuple[Gpu, ...]:
    """The GPUs that this process may use, each by a name that makes it the only one of a worker."""
    return chosen(installed(), os.environ.get(VISIBLE))


def chosen(there: Sequence[Gpu], text: str | None) -> tuple[Gpu, ...]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, by CUDA's rules (CUDA C++ Programming Guide, "CUDA Environment
    Variables"): places, or UUIDs of which the beginning is enough, or MIG instances. What follows the first name that
    fits no device is not visible; a name that comes twice leaves none. Unset (`None`): all, divided GPUs by their
    instances; "" and "-1": none.
    """
    if text is None:
        return tuple(part for gpu in there for part in (gpu.instances if gpu.divided else (gpu,)))
    found: list[Gpu] = []
    for name in (part.strip() for part in text.split(",")):
        gpu = _named(there, name)
        if gpu is None:
            break
        found.append(gpu)
    return () if len({gpu.device for gpu in found}) < len(found) else tuple(found)


def _named(there: Sequence[Gpu], name: str) -> Gpu | None:
    """The device of one name: a place among the GPUs as CUDA counts them, the beginning of a UUID, or an instance."""
    if name.isascii() and name.isdigit():
        # CUDA's order may be another one than NVML's, so its own name for the place is kept
        place = int(name)
        return Gpu(name, there[place].name, there[place].memory) if place < len(there) else None
    if name.startswith("MIG-GPU-"):  # MIG-GPU-UUID/GI/CI: the form of drivers before 470, which know no other
        whole = name.removeprefix("MIG-").split("/")[0]
        return next((Gpu(name, f"{gpu.name} (MIG)") for gpu in there if gpu.device == whole), None)
    every = [part for gpu in there for part in (gpu, *gpu.instances)]
    fitting = [gpu for gpu in every if len(name) > len("GPU-") and gpu.device.startswith(name)]
    return fitting[0] if len(fitting) == 1 else None


def installed() -> tuple[Gpu, ...]:
    """The GPUs of this machine (of this container), by NVML; without it by the driver's files."""
    library = _library()
    if library is None:
        return tuple(_by_files(FILES))
    if library.nvmlInit_v2() != 0:  # a driver that does not answer: nothing can compute on it
        return ()
    try:
        return tuple(_by_nvml(library))
    finally:
        library.nvmlShutdown()


def _library() -> Any:
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError:
        return None


def _by_files(folder: Path) -> Iterator[Gpu]:
    for place, path in enumerate(sorted(folder.glob("*/information"))):
        text = ""
        with suppress(OSError):
            text = path.read_text(encoding="utf-8", errors="replace")
        fields = dict(re.findall(r"^([^:\n]+):[ \t]*(.*?)[ \t]*$", text, re.MULTILINE))
        yield Gpu(fields.get("GPU UUID") or str(place), fields.get("Model", "NVIDIA GPU"))


def _by_nvml(library: Any) -> Iterator[Gpu]:
    """NVML's answers; the functions and their arguments are those of NVIDIA's NVML API Reference Guide."""
    for place in range(_number(library.nvmlDeviceGetCount_v2) or 0):
        handle = _handle(library.nvmlDeviceGetHandleByIndex_v2, ctypes.c_uint(place))
        if handle is None:  # one that fell off the bus
            continue
        mode, later = ctypes.c_uint(0), ctypes.c_uint(0)
        answered = library.nvmlDeviceGetMigMode(handle, ctypes.byref(mode), ctypes.byref(later)) == 0
        divided = answered and mode.value == _MIG_ON
        instances = tuple(_instances(library, handle)) if divided else ()
        yield _gpu(library, handle, str(place), divided, instances)


def _instances(library: Any, handle: Any) -> Iterator[Gpu]:
    for place in range(_number(library.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        instance = _handle(library.nvmlDeviceGetMigDeviceHandleByIndex, handle, ctypes.c_uint(place))
        if instance is not None:
            yield _gpu(library, instance, "", False, ())


def _gpu(library: Any, handle: Any, place: str, divided: bool, instances: tuple[Gpu, ...]) -> Gpu:
    uuid, name = _text(library.nvmlDeviceGetUUID, handle), _text(library.nvmlDeviceGetName, handle)
    sizes = (ctypes.c_ulonglong * 3)()  # nvmlMemory_t: total, free, used
    known = library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(sizes)) == 0
    return Gpu(uuid or place, name or "NVIDIA GPU", int(sizes[0]) if known else 0, divided, instances)


def _text(function: Any, handle: Any) -> str:
    buffer = ctypes.create_string_buffer(_TEXT)
    return buffer.value.decode("utf-8", "replace") if function(handle, buffer, ctypes.c_uint(_TEXT)) == 0 else ""


def _number(function: Any, *arguments: Any) -> int | None:
    value = ctypes.c_uint(0)
    return value.value if function(*arguments, ctypes.byref(value)) == 0 else None


def _handle(function: Any, *arguments: Any) -> ctypes.c_void_p | None:
    handle = ctypes.c_void_p()
    return handle if function(*arguments, ctypes.byref(handle)) == 0 else None
