"""Weights laid out for products with few rows, as decoding makes them.

Owns the layout and the product that reads it: oneDNN's blocked form, which torch's inductor uses too. A plain product
of 16 to 64 rows first copies the weights into such a form, each time anew. Measured in benchmarks/evaluation. Does
not know layers.
"""

from __future__ import annotations

import platform

import torch
from torch import Tensor
from torch.nn import functional

ROWS = 64  # the layout is chosen for about so many; any number is right


def can_lay_out(weight: Tensor) -> bool:
    """True if this machine and dtype have the layout; elsewhere plain products serve."""
    if weight.device.type != "cpu" or platform.machine() not in ("x86_64", "AMD64"):
        return False
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    if weight.dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return weight.dtype == torch.float32


def laid_out(weight: Tensor) -> Tensor:
    """A copy of (out, in) weights in the layout."""
    return torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)


def product(x: Tensor, weight: Tensor, bias: Tensor | None, copy: Tensor | None) -> Tensor:
    """x W^T + b, from the laid-out copy if there is one; that has no gradient."""
    if copy is None:
        return functional.linear(x, weight, bias)
    return torch.ops.mkldnn._linear_pointwise(x, copy, bias, "none", [], "")
