"""Adapters and training states on disk: written whole or not at all, read strictly.

Owns the file formats: PEFT's adapter folder, and a safetensors file of one member's state. Does not know stages or
when to write.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from regimen.engine.adapter_bank import layout, named_factors, row_of
from regimen.engine.base_model import BaseModel
from regimen.engine.states import Kept, MemberState
from regimen.errors import ModelError, RunFolderError
from regimen.files import write_atomically, write_json
from regimen.study.schema import Adapter, Base

ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
_CHECKPOINT = re.compile(r"checkpoint-(\d{8})\.safetensors")


def save_adapter(folder: Path, base: BaseModel, model: Base, adapter: Adapter, row: Tensor) -> None:
    """Writes an adapter folder that PEFT loads, every setting explicit."""
    tensors = named_factors(layout(base, adapter), row)
    write_atomically(folder / ADAPTER, lambda scratch: save_file(tensors, scratch, metadata={"format": "pt"}))
    write_json(folder / ADAPTER_CONFIG, adapter_config(base, model, adapter))


def adapter_config(base: BaseModel, model: Base, adapter: Adapter) -> dict[str, Any]:
    """PEFT's configuration of this adapter, `alpha` explicit, since PEFT's default differs.

    `revision` is that of a base on the Hub; any other base has none there.
    """
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model.id,
        "revision": model.revision if model.origin == "hub" else None,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": adapter.dropout,
        "target_modules": target_modules(base, adapter),
        "bias": "none",
        "fan_in_fan_out": all(base.linears[name].is_transposed for name in base.targets(adapter)),
        "use_rslora": adapter.rslora,
        "use_dora": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "modules_to_save": None,
    }


def target_modules(base: BaseModel, adapter: Adapter) -> list[str]:
    """PEFT's names of the layers: their last parts, or whole names where a part would match other modules too."""
    names = set(base.targets(adapter))
    leaves = {name.rsplit(".", 1)[-1] for name in names}
    for name, _ in base.model.named_modules():
        if name.rsplit(".", 1)[-1] in leaves and name not in names:
            return sorted(names)
    return sorted(leaves)


def load_adapter(folder: Path, base: BaseModel, adapter: Adapter) -> Tensor:
    """The row (P,) of an adapter folder; raises RunFolderError if it is damaged or of another shape."""
    try:
        return row_of(layout(base, adapter), load_file(folder / ADAPTER))
    except (OSError, SafetensorError, KeyError, ValueError) as fault:
        raise RunFolderError(
            f"the adapter in {folder} is damaged or of another shape ({fault}); delete that folder and run again"
        ) from None


def load_given(folder: Path, base: BaseModel, adapter: Adapter) -> Tensor:
    """The row (P,) of somebody's adapter, whatever the precision it is kept in; raises ModelError where it fits not."""
    try:
        row = row_of(layout(base, adapter), load_file(folder / ADAPTER))
    except (OSError, SafetensorError, KeyError, ValueError) as fault:
        raise ModelError(
            f"the adapter in {folder} does not fit the base ({fault}); take the base that it was trained on"
        ) from None
    if not bool(torch.isfinite(row).all()):
        raise ModelError(f"the adapter in {folder} holds values that are not finite; save it again")
    return row


def save_state(path: Path, state: MemberState, trace: str = "", seat: tuple[int, int] | None = None) -> None:
    """Writes one member's weights, moments and update count; `trace` is a digest of the trace that led there, `seat`
    the member's in a steady cohort."""
    tensors = {"row": state.row, "mean": state.mean, "square": state.square}
    if state.kept is not None:
        at = torch.tensor([state.kept.step, state.kept.value], dtype=torch.float64)
        tensors |= {"kept": state.kept.row, "kept_at": at}
    values = f"{state.updates} {_crc32(*tensors.values())} {trace}"
    values = values.rstrip() if seat is None else f"{values} {seat[0]}/{seat[1]}"
    metadata = {"updates": values}  # one key: several come in any order
    write_atomically(path, lambda scratch: save_file(tensors, scratch, metadata=metadata))


def _crc32(*tensors: Tensor) -> int:
    """A checksum of tensors on the CPU, in order."""
    found = 0
    for tensor in tensors:
        found = zlib.crc32(tensor.contiguous().view(torch.uint8).numpy().data, found)
    return found


def load_state(path: Path) -> MemberState:
    """Reads what `save_state` wrote; raises RunFolderError if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            names = ("row", "mean", "square", *(("kept", "kept_at") if "kept" in file.keys() else ()))  # noqa: SIM118
            values = [file.get_tensor(name) for name in names]
            metadata = file.metadata()
        updates, *checksums = metadata["updates"].split(" ")
        if checksums and int(checksums[0]) != _crc32(*values):  # earlier versions wrote none
            raise ValueError("it has changed since it was written")
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as fault:
        raise RunFolderError(
            f"the training state {path} is damaged; delete its folder and run again ({fault})"
        ) from None
    row, mean, square, *kept = values
    best = Kept(kept[0], int(kept[1][0]), float(kept[1][1])) if kept else None
    return MemberState(row, mean, square, int(updates), best)


def trace_digest(path: Path) -> str:
    """The digest of the trace that a state was saved with, "" where there is none; the file must be readable."""
    with safe_open(path, framework="pt") as file:
        return [*file.metadata()["updates"].split(" "), "", ""][2]


def seat_at(path: Path) -> tuple[int, int] | None:
    """The seat that a state was saved with: which, of how many; None where there is none. The file must be readable."""
    with safe_open(path, framework="pt") as file:
        noted = [*file.metadata()["updates"].split(" "), "", "", ""][3]
    if not noted:
        return None
    which, total = noted.split("/")
    return int(which), int(total)


def checkpoint_path(folder: Path, step: int) -> Path:
    """The checkpoint file of a stage after `step` steps of its leg."""
    return folder / f"checkpoint-{step:08d}.safetensors"


def checkpoint_steps(folder: Path) -> list[int]:
    """The steps that a stage folder holds checkpoints of, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(match[1]) for path in folder.iterdir() if (match := _CHECKPOINT.fullmatch(path.name)))


def drop_checkpoints(folder: Path, keep: int = 0) -> None:
    """Deletes all but the newest `keep` checkpoints."""
    steps = checkpoint_steps(folder)
    for step in steps[: len(steps) - keep]:
        checkpoint_path(folder, step).unlink(missing_ok=True)
