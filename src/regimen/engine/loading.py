"""A folder of safetensors to a base that computes rightly, or one sentence that says why not.

Owns the reading of a model through transformers, the check that its weights are whole, and which ids end a text. Runs
no code that comes with a model. Does not know what the base is used for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from regimen.engine.assembly import assemble, attention_of
from regimen.engine.base_model import DTYPES, BaseModel
from regimen.engine.verdicts import Verdict, remembered
from regimen.errors import ModelError, RegimenError


def load_base(folder: Path, precision: str, device: str = "cpu") -> BaseModel:
    """Loads a base from a folder of safetensors, frozen, its projections ready for adapters.

    Raises ModelError, in one sentence, for a folder that is not whole and for a model that is not computed rightly
    here.
    """
    with refused(f"the base model in {folder}"):
        model = read_model(folder, DTYPES[precision])
        model.to(torch.device(device))
        base = assemble(model, folder, torch.device(device), end_tokens(folder, model))
        verdict = examined(base.model)
        base.alone, base.branches, base.peft_fault = verdict.alone, verdict.branches, verdict.peft
    return base


def examined(model: Any) -> Verdict:
    """What a base of this kind can do, from memory or tried now; raises ModelError for one that is not right here."""
    return remembered(model, _examine)


def _examine(model: Any) -> Verdict:
    from regimen.engine.probe import examine  # what it needs takes long to import, and is seldom needed

    return examine(model)


def read_model(folder: Path, dtype: torch.dtype) -> Any:
    """The frozen model of a folder, plain, with our attention; raises ModelError if its weights are not whole."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # what it would warn of is refused below
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    read: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        attn_implementation=attention_of(config),
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    model, report = read
    _check_keys(type(model).__name__, folder, report)
    _check_values(folder, model)
    return model.eval().requires_grad_(False)


@contextmanager
def refused(what: str):
    """Whatever goes wrong within becomes a ModelError that begins with `what`: a model is never a traceback."""
    try:
        yield
    except (RegimenError, MemoryError, torch.cuda.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as fault:  # models raise whatever their code happens to raise
        said = str(fault).strip().splitlines()
        raise ModelError(f"{what} cannot be loaded: {said[0] if said else type(fault).__name__}") from fault


def plain_model(folder: Path) -> Any:
    """The model of a folder as transformers has it, in fp32 with eager attention, to compare with."""
    from transformers import AutoModelForCausalLM

    options = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", **options
    )
    return model.eval()


def _check_keys(family: str, folder: Path, report: Mapping[str, Collection[Any]]) -> None:
    faults = [
        (report.get("mismatched_keys"), "in another shape than its config says"),
        (report.get("missing_keys"), "not in its files, so they would be made up at random"),
        (report.get("unexpected_keys"), "in its files but in no layer of the model"),
    ]
    for keys, why in faults:
        if keys:
            names = sorted(key if isinstance(key, str) else str(key[0]) for key in keys)
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise ModelError(
                f"the base model in {folder} ({family}) is not whole: {names[0]}{more} "
                f"{'are' if more else 'is'} {why}; fetch it again"
            )


def _check_values(folder: Path, model: Any) -> None:
    for name, weight in model.named_parameters():
        if not _is_finite(weight):
            raise ModelError(f"the base model in {folder} holds a value that is not finite, in {name}; fetch it again")


def _is_finite(weight: Tensor) -> bool:
    """Smallest and largest are not finite if any value is not."""
    if not weight.is_floating_point() or not weight.numel():
        return True
    low, high = torch.aminmax(weight.detach())
    return bool(torch.isfinite(low) & torch.isfinite(high))


def end_tokens(folder: Path, model: Any) -> frozenset[int]:
    """Every id that the generation config, the model's config or the tokenizer's config names as an end of text."""
    ends: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        file = folder / name
        values = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        listed = values.get("eos_token_id")
        ends.update(int(one) for one in (listed if isinstance(listed, list) else [listed]) if one is not None)
    listed = getattr(model.config.get_text_config(), "eos_token_id", None)
    ends.update(int(one) for one in (listed if isinstance(listed, list) else [listed]) if one is not None)
    return frozenset(ends | _tokenizer_end(folder))


def _tokenizer_end(folder: Path) -> set[int]:
    """The id of the token that the tokenizer's config calls the end, if both are there."""
    file, config = folder / "tokenizer.json", folder / "tokenizer_config.json"
    if not file.is_file() or not config.is_file():
        return set()
    end = json.loads(config.read_text(encoding="utf-8")).get("eos_token")
    text = str(end.get("content") if isinstance(end, dict) else end)
    written = file.read_text(encoding="utf-8")
    ids = _added_tokens(written)
    if text not in ids:
        vocabulary = json.loads(written).get("model", {}).get("vocab")
        ids = vocabulary if isinstance(vocabulary, dict) else ids
    return {int(ids[text])} if text in ids else set()


def _added_tokens(written: str) -> dict[str, int]:
    """The added tokens of a tokenizer.json, read by themselves: the vocabulary after them takes long to read."""
    key = '"added_tokens":'
    place = written.find(key)
    if place < 0:
        return {}
    rest = written[place + len(key) :].lstrip() if place < 100_000 else "[]"
    listed, _ = json.JSONDecoder().raw_decode(rest)
    return {one["content"]: one["id"] for one in listed}
