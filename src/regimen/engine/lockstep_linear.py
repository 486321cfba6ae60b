"""Linear layers that can carry adapters.

Owns the layer and the replacing of a model's own linear layers by it, transformers' Conv1D among them. Does not know
adapters' values or what a model is used for.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from regimen.engine.lowrank import LowRankLinear
from regimen.engine.weights import product


class LockstepLinear(nn.Module):
    """A frozen linear layer, y = x W^T + b, to which K low-rank adapters may be attached.

    With adapters, `x` holds K equal groups of rows, and group k gains `scale * x A_k^T B_k^T`;
    A is (K, rank, in), B is (K, out, rank), both fp32 and used in the dtype of `x`. `weight` lies as the model's own
    layer has it: (out, in), or (in, out) where `is_transposed` (GPT-2's Conv1D).
    """

    def __init__(self, linear: nn.Linear | Conv1D):
        super().__init__()
        self.weight = linear.weight
        self.bias = linear.bias
        self.is_transposed = isinstance(linear, Conv1D)
        self.down: Tensor | None = None
        self.up: Tensor | None = None
        self.scale = 1.0
        self.kept: Callable[[Tensor], Tensor] | None = None  # x -> the factors of its dropout, shaped as x is
        self.copy: Tensor | None = None

    @property
    def matrix(self) -> Tensor:
        """W, (out, in); a view of `weight`."""
        return self.weight.T if self.is_transposed else self.weight

    def forward(self, x: Tensor) -> Tensor:
        if self.down is None or self.up is None:
            return product(x, self.matrix, self.bias, self.copy)
        kept = None if self.kept is None else self.kept(x)
        return LowRankLinear.apply(x, self.matrix, self.bias, self.down, self.up, self.scale, self.copy, kept)  # type: ignore[return-value]


# a subclass of Linear that computes as Linear does, by name so that its family is not imported for it
PLAIN_SUBCLASS = "transformers.models.falcon.modeling_falcon.FalconLinear"


def _is_plain(module: nn.Module) -> bool:
    kind = type(module)
    return kind in (nn.Linear, Conv1D) or f"{kind.__module__}.{kind.__qualname__}" == PLAIN_SUBCLASS


def _is_read_by_kernel(model: nn.Module, name: str) -> bool:
    """True if a state-space mixer reads this layer's weight past its forward, so that an adapter would be lost."""
    parent, _, leaf = name.rpartition(".")
    mixer = model.get_submodule(parent)
    return leaf in ("out_proj", "dt_proj") and all(hasattr(mixer, part) for part in ("conv1d", "A_log", "D"))


def wrap_linears(model: nn.Module, within: nn.Module) -> dict[str, LockstepLinear]:
    """Replaces every linear layer inside `within` (the text decoder) but the output head; returns them by their name
    in `model`.

    Subclasses of Linear stay as they are, since what they do beside a product would be lost. Falcon's does nothing
    beside it.
    """
    head = model.get_output_embeddings()  # type: ignore[operator]
    inside = {id(module) for module in within.modules()}
    wrapped: dict[str, LockstepLinear] = {}
    for name, module in list(model.named_modules()):
        if not _is_plain(module) or module is head or id(module) not in inside or _is_read_by_kernel(model, name):
            continue
        parent, _, leaf = name.rpartition(".")
        wrapped[name] = LockstepLinear(module)  # type: ignore[arg-type]
        setattr(model.get_submodule(parent), leaf, wrapped[name])
    return wrapped
