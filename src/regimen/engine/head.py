"""The output head: hidden states to logits, and what a family does to its logits besides.

Owns the product with the output matrix, a constant factor, a bias and a soft cap, and their gradient. Does not know
losses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from regimen.engine.weights import product


@dataclass
class Head:
    """logits = cap(scale * (h W^T + b)), cap(z) = limit * tanh(z / limit) (Gemma 2, arXiv 2408.00118, section 2).

    `weight` (vocabulary, hidden), `bias` (vocabulary,) or None, `limit` None for no cap. `copy` is the weight laid out
    for few rows, while there is one.
    """

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    limit: float | None = None
    copy: Tensor | None = field(default=None, repr=False)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of hidden states (..., d), in their dtype."""
        return self._finished(product(hidden, self.weight, self.bias, self.copy))

    def product(self, hidden: Tensor) -> Tensor:
        """The product of hidden states (..., d) with the weight, and the bias; not yet scaled or capped."""
        return product(hidden, self.weight, self.bias, None)

    def wide_logits(self, hidden: Tensor) -> Tensor:
        """Logits of hidden states (..., d): the product in their dtype, all else in fp32; never from the copy."""
        return self._finished(self.product(hidden).float())

    def _finished(self, logits: Tensor) -> Tensor:
        if self.scale != 1.0:
            logits = logits * self.scale
        return logits if self.limit is None else self.limit * torch.tanh(logits / self.limit)

    def slope_(self, by_logits: Tensor, logits: Tensor | None) -> Tensor:
        """The gradient by the product, from that by the logits, in place; a cap needs `logits` as it made them."""
        if self.limit is not None and logits is not None:
            by_logits.mul_(1 - (logits / self.limit).square())
        return by_logits.mul_(self.scale) if self.scale != 1.0 else by_logits


def head_of(model: Any, config: Any) -> Head:
    """The head of a causal LM, by what its text config says of its logits.

    Granite and MiniCPM3 divide by `logits_scaling`, Cohere multiplies by `logit_scale`, Falcon-H1 by
    `lm_head_multiplier`; Gemma caps at `final_logit_softcapping`, RecurrentGemma at `logits_soft_cap`. A family that
    does anything else is caught by the probe.
    """
    output = model.get_output_embeddings()
    scale = 1.0
    if (divisor := getattr(config, "logits_scaling", None)) is not None:
        scale /= divisor
    for name in ("logit_scale", "lm_head_multiplier"):
        if (factor := getattr(config, name, None)) is not None:
            scale *= factor
    limit = getattr(config, "final_logit_softcapping", None) or getattr(config, "logits_soft_cap", None)
    return Head(output.weight, getattr(output, "bias", None), float(scale), None if limit is None else float(limit))
