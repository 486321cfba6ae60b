"""Chooses the bank for an adapter's settings, and reads and writes its rows.

Owns the choice between LoRA and all weights, so that nobody else makes it. Does not know training or scoring.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel
from regimen.engine.checkpoints import load_adapter, save_adapter
from regimen.engine.full_bank import FullBank, full_row, load_full_row
from regimen.engine.loading import read_model, refused
from regimen.errors import ModelError, RunFolderError
from regimen.study.schema import Adapter, Base


class Bank(Protocol):
    """K members over one base: rows of weights and gradients, (K, P) fp32, and their attachment to the base."""

    weights: Tensor
    grads: Tensor

    def __len__(self) -> int: ...

    def attached(self) -> AbstractContextManager[None]: ...

    def row(self, member: int) -> Tensor: ...


def open_bank(base: BaseModel, adapter: Adapter, rows: Sequence[Tensor]) -> Bank:
    """A bank of these rows, ready to train."""
    return FullBank(base, rows) if adapter.method == "full" else AdapterBank(base, adapter, rows)


def first_row(base: BaseModel, adapter: Adapter, seed: int) -> Tensor:
    """The row that a training from the base begins with."""
    return full_row(base) if adapter.method == "full" else initial_row(base, adapter, seed)


def save_trained(folder: Path, base: BaseModel, model: Base, adapter: Adapter, row: Tensor) -> None:
    """Writes what was trained: a PEFT adapter, or a whole model in the base's precision."""
    if adapter.method == "lora":
        save_adapter(folder, base, model, adapter, row)
        return
    load_full_row(base, row)
    base.save(folder)


def load_trained(folder: Path, base: BaseModel, adapter: Adapter) -> Tensor:
    """The row of what `save_trained` wrote; raises RunFolderError if it is damaged."""
    if adapter.method == "lora":
        return load_adapter(folder, base, adapter)
    try:
        with refused(f"the model in {folder}"):
            trained = read_model(folder, base.dtype)
    except ModelError as fault:
        raise RunFolderError(f"{fault}; delete that folder and run again") from None
    return torch.cat([weight.detach().float().reshape(-1) for weight in trained.parameters()])
