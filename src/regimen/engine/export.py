"""Writes trained weights as others load them: a PEFT folder, or a whole model with its adapters merged.

Owns the files of an export, whole or not there, and the sending of a folder to the Hub. Does not know run folders,
plans or what a card says.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from regimen.engine.adapter_bank import AdapterBank
from regimen.engine.base_model import TOKENIZER_FILES
from regimen.engine.checkpoints import ADAPTER, ADAPTER_CONFIG, load_adapter
from regimen.engine.loading import load_base, plain_model
from regimen.engine.merging import merge_row
from regimen.engine.peft_check import load_by_peft
from regimen.errors import ModelError, RunFolderError, UsageError
from regimen.study.schema import Adapter, Base

CARD = "README.md"
CHAT_TEMPLATE = "chat_template.jinja"
CHECKED = 12  # tokens on which PEFT's logits are compared with ours
APART = 1e-3  # of the largest logit
_NOT_BY_PEFT = "PEFT does not load this adapter as it was trained ({}); use --merged"
MODEL_FILES = ("model.safetensors", "config.json", "generation_config.json", *TOKENIZER_FILES)


@dataclass(frozen=True)
class TrainedAdapter:
    """The folder that holds an adapter, and its settings."""

    folder: Path
    adapter: Adapter


@dataclass(frozen=True)
class Trained:
    """A trained end: its stage folder, its base and adapter, and the ends that were merged into the base before it.

    `chat_template` is the text of the template by which conversations were shown to it.
    """

    folder: Path
    base: Base
    base_folder: Path
    adapter: Adapter
    merged_before: Sequence[TrainedAdapter] = ()
    chat_template: str | None = None


def export(trained: Trained, to: Path, card: str, *, merged: bool) -> None:
    """Writes the export to `to`, which must not exist or be empty; raises UsageError where it cannot be what is asked.

    A full fine-tuning is a whole model either way.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UsageError(f"--to {str(to)!r} exists and is not an empty folder; name a new one")
    whole = merged or trained.adapter.method == "full"
    if trained.merged_before and not whole:
        raise UsageError(
            f"this adapter sits on a base into which {len(trained.merged_before)} adapters were merged, so it is "
            "nothing without them; use --merged"
        )
    with _whole(to) as folder:
        if trained.adapter.method == "full":
            _copy(trained.folder, folder, MODEL_FILES, needed=MODEL_FILES[:2])
        elif whole:
            _merge(trained, folder)
        else:
            _copy(trained.folder, folder, (ADAPTER, ADAPTER_CONFIG), needed=(ADAPTER, ADAPTER_CONFIG))
            _copy(trained.base_folder, folder, TOKENIZER_FILES)
            _check(trained, folder)
        if trained.chat_template is not None:
            (folder / CHAT_TEMPLATE).write_text(trained.chat_template, encoding="utf-8")
        (folder / CARD).write_text(card, encoding="utf-8")


def _check(trained: Trained, folder: Path) -> None:
    """Loads the adapter of `folder` through PEFT and compares a few tokens; raises UsageError if it says otherwise."""
    base = load_base(trained.base_folder, "fp32")
    if base.peft_fault is not None:
        raise UsageError(_NOT_BY_PEFT.format(base.peft_fault))
    bank = AdapterBank(base, trained.adapter, [load_adapter(folder, base, trained.adapter)])
    tokens = torch.arange(CHECKED)[None] % base.head.shape[0]
    with torch.inference_mode(), bank.attached():
        ours = base.logits(base.body(tokens, torch.arange(CHECKED)[None], None)[0]).float()
    base = bank = None
    try:
        model, lost = load_by_peft(plain_model(trained.base_folder), folder)
        with torch.inference_mode():
            apart = float((model(input_ids=tokens, use_cache=False).logits[0].float() - ours).abs().max())
    except Exception as fault:  # PEFT raises whatever it happens to raise
        apart, lost = 0.0, str(fault).splitlines()[0][:160] if str(fault) else type(fault).__name__
    if lost is None and not apart <= APART * float(ours.abs().max()):
        lost = f"its logits differ by {apart:.2g}"
    if lost is not None:
        raise UsageError(_NOT_BY_PEFT.format(lost))


def _merge(trained: Trained, folder: Path) -> None:
    """The sums are formed in fp32, one after another, and rounded once to the base's precision."""
    base = load_base(trained.base_folder, "fp32")
    for end in (*trained.merged_before, TrainedAdapter(trained.folder, trained.adapter)):
        merge_row(base, end.adapter, load_adapter(end.folder, base, end.adapter))
    base.round_to(trained.base.precision)
    base.save(folder)


def _copy(source: Path, folder: Path, names: Sequence[str], needed: Sequence[str] = ()) -> None:
    """Copies what is there; raises RunFolderError for a needed file that is missing, or weights that cannot be read."""
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
        elif name in needed:
            raise RunFolderError(f"{source / name} is missing; run the same `regimen run` command again, then export")
        if name in needed and name.endswith(".safetensors"):
            _check_readable(source / name)


def _check_readable(weights: Path) -> None:
    try:
        with safe_open(weights, framework="pt") as file:
            file.keys()
    except (OSError, SafetensorError) as fault:
        raise RunFolderError(
            f"{weights} is damaged ({fault}); run the same `regimen run` command again, then export"
        ) from None


@contextmanager
def _whole(to: Path):
    """A scratch folder that becomes `to` if all goes well, and nothing if not."""
    to.parent.mkdir(parents=True, exist_ok=True)
    scratch = to.with_name(f".{to.name}-{uuid.uuid4().hex[:8]}")
    scratch.mkdir()
    try:
        yield scratch
        if to.is_dir():
            to.rmdir()
        scratch.rename(to)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def push(folder: Path, repository: str) -> None:
    """Sends a folder to a model repository on the Hub, made if it is not there; raises ModelError saying why not."""
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(repository, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Export from regimen")
    except Exception as fault:  # the client raises many types: no network, no token, no right
        first = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
        raise ModelError(
            f"{folder} could not be sent to {repository!r} ({first[:160]}); it is whole on disk, "
            "`hf upload` sends it once you are logged in"
        ) from None
