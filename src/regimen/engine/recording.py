"""Steps that a GPU repeats by itself: a step is recorded once as a CUDA graph, and launched whole from then on.

Owns the recording, and the check that a step can be recorded: it must not make the host wait for the device. A step
is a function without arguments or results that reads and writes tensors which stay where they are. Does not know what
a step computes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from regimen.engine.device_watch import undisturbed

Step = Callable[[], None]
# Operations whose result, or the shape of it, the host must know before it can go on.
WAITS = frozenset(
    f"aten::{name}"
    for name in (
        "_local_scalar_dense",
        "item",
        "is_nonzero",
        "nonzero",
        "masked_select",
        "equal",
        "_unique2",
        "unique_dim",
    )
)


class Waits(TorchDispatchMode):
    """Notes the operations within for which the host waits: values read, shapes that depend on values, copies to it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().split(".")[0]
        given = [one for one in tree_leaves((args, kwargs or {})) if isinstance(one, Tensor)]
        out = func(*args, **(kwargs or {}))
        by_mask = name in ("aten::index", "aten::index_put_", "aten::index_put") and any(
            one.dtype in (torch.bool, torch.uint8) for one in given[1:]
        )
        far = any(one.device.type != "cpu" for one in given)
        back = far and isinstance(out, Tensor) and out.device.type == "cpu"
        if name in WAITS or by_mask or back:
            self.found.append(func.name())
        return out


@dataclass
class Recorder:
    """Runs steps by name. The first time, a step runs as it is and is looked at; from the second time on its recording
    runs, unless it made the host wait."""

    device: torch.device
    record: Callable[[Step], Step] | None = None
    waits: list[str] = field(default_factory=list)
    recorded: int = 0
    _steps: dict[object, Step | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.record is None and self.device.type == "cuda":
            self.record = _Graphs().record

    def run(self, name: object, step: Step) -> None:
        """Runs a step; steps of one name must be the same operations on the same tensors."""
        if self.record is None or self.waits:
            step()
        elif name not in self._steps:
            with Waits() as watched:
                step()
            self.waits += watched.found
            self._steps[name] = None
        else:
            kept = self._steps[name]
            if kept is None:
                kept = self._steps[name] = self.record(step)
                self.recorded += 1
            kept()


class _Graphs:
    """Records CUDA graphs that share one pool of memory, since only one of them runs at a time."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()
        self._stream = torch.cuda.Stream()

    def record(self, step: Step) -> Step:
        """The step as a graph's replay; the step itself, with a warning, where CUDA cannot record it."""
        graph = torch.cuda.CUDAGraph()
        self._stream.wait_stream(torch.cuda.current_stream())
        try:
            with undisturbed(), torch.cuda.stream(self._stream):
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                try:
                    step()
                finally:
                    graph.capture_end()
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as fault:  # nothing has run: the step is as good as before
            warnings.warn(f"a step runs unrecorded, and slower: {str(fault).splitlines()[0]}", stacklevel=2)
            return step
        torch.cuda.current_stream().wait_stream(self._stream)
        return graph.replay
