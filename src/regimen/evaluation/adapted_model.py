"""The model under test: a base, the adapters on it, its tokenizer.

Owns the bundle that every way of scoring takes. Does not know tasks or items.
"""

from __future__ import annotations

from dataclasses import dataclass

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import BaseModel
from regimen.evaluation.prompts import Encoder


@dataclass(frozen=True)
class AdaptedModel:
    """A base with the adapters that are scored side by side, or the base alone where `bank` is None."""

    base: BaseModel
    bank: AdapterBank | None
    tokenizer: Encoder

    @property
    def members(self) -> int:
        """The number of models that are scored at once: one for each adapter, or the base alone."""
        return len(self.bank) if self.bank else 1
