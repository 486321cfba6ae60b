"""A CUDA graph's stand-in on the CPU: what a step does is noted, and done again on the very same tensors.

As with a graph, nothing that the host decides is decided anew: a step that keeps a number in Python, makes a tensor
that it fills from there, or looks at a value, gives wrong results the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Step = Callable[[], None]


def storages(values: Any) -> set[int]:
    """The memory of all tensors within."""
    return {one.untyped_storage().data_ptr() for one in tree_leaves(values) if isinstance(one, Tensor)}


def launches(func: Any, given: Any, out: Any) -> bool:
    """Whether an operation would launch a kernel: it changes a tensor, or makes one that is not a view."""
    name = func.name().split(".")[0]
    if name in ("aten::empty", "aten::empty_like", "aten::new_empty", "aten::empty_strided"):
        return False
    return func._schema.is_mutable or bool(storages(out) - storages(given))


class Tape(TorchDispatchMode):
    """Notes operations with their arguments and results."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if launches(func, (args, kwargs), out):
            self.noted.append((func, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        """Does it all again; results go where they went."""
        for func, args, kwargs, out in self.noted:
            again = func(*args, **kwargs)
            if func._schema.is_mutable:
                continue
            for kept, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(kept, Tensor):
                    kept.copy_(new)


def taped(step: Step) -> Step:
    """Records a step; returns what repeats it. Capture carries nothing out; this does, so the first repeat does not."""
    with Tape() as tape:
        step()
    repeats = count()

    def replay() -> None:
        if next(repeats):
            tape.replay()

    return replay
