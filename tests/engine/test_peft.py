"""Adapters leave as PEFT reads them: same logits in PEFT, merged, and in our own engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM

from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel
from regimen.engine.checkpoints import ADAPTER as FILE
from regimen.engine.checkpoints import adapter_config, load_adapter, save_adapter
from regimen.engine.loading import load_base
from regimen.engine.merging import merge_row
from regimen.errors import ModelError, RunFolderError
from regimen.study.schema import Adapter, Base


@pytest.mark.parametrize(
    "adapter",
    [
        Adapter(),
        Adapter(rank=3, alpha=7),
        Adapter(rank=2, alpha=16, targets=("q_proj", "down_proj")),
    ],
    ids=["plan", "odd", "some"],
)
def test_peft_merged_and_our_engine_agree(base: BaseModel, folder: Path, tmp_path: Path, adapter: Adapter) -> None:
    torch.manual_seed(5)
    row = initial_row(base, adapter, 1)
    row += 0.05 * torch.randn_like(row)
    save_adapter(tmp_path, base, Base(id=str(folder), revision="abc"), adapter, row)
    tokens = torch.randint(1, 97, (2, 15))
    with torch.no_grad():
        with AdapterBank(base, adapter, [row]).attached():
            ours = base.model(input_ids=tokens, use_cache=False).logits
        plain = AutoModelForCausalLM.from_pretrained(folder)
        theirs = PeftModel.from_pretrained(plain, tmp_path)
        peft = theirs(input_ids=tokens).logits
        merged = theirs.merge_and_unload()(input_ids=tokens).logits
        own = load_base(folder, "fp32")
        merge_row(own, adapter, row)
        mine = own.model(input_ids=tokens).logits
        without = base.model(input_ids=tokens, use_cache=False).logits
    for other in (peft, merged, mine):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-4)
    assert (ours - without).abs().max() > 1e-2, "the adapter does something, and leaves the base as it was"


def test_every_setting_is_explicit(base: BaseModel, tmp_path: Path) -> None:
    save_adapter(
        tmp_path, base, Base(id="org/model", revision="abc"), Adapter(rank=4, alpha=8), initial_row(base, Adapter(), 1)
    )
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "org/model"
    assert config["revision"] == "abc"
    assert (config["r"], config["lora_alpha"], config["use_rslora"]) == (4, 8, False)
    assert config["target_modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


@pytest.mark.parametrize("origin", ["wheel", "packaged", "folder"])
def test_a_base_that_is_not_on_the_hub_has_no_revision_there(base: BaseModel, origin: Any) -> None:
    """A wheel's version, say 0.1.2, is no revision of any repository: PEFT would look for it and fail."""
    config = adapter_config(base, Base(id="org/model", revision="0.1.2", origin=origin), Adapter())
    assert config["revision"] is None
    assert LoraConfig(**{name: value for name, value in config.items() if name != "peft_type"}).revision is None


def test_an_adapter_reads_back_exactly(base: BaseModel, tmp_path: Path) -> None:
    row = torch.randn_like(initial_row(base, Adapter(), 1))
    save_adapter(tmp_path, base, Base(id="x"), Adapter(), row)
    assert torch.equal(load_adapter(tmp_path, base, Adapter()), row)


def test_a_damaged_or_foreign_adapter_is_refused(base: BaseModel, tmp_path: Path) -> None:
    save_adapter(tmp_path, base, Base(id="x"), Adapter(), initial_row(base, Adapter(), 1))
    with pytest.raises(RunFolderError, match="of another shape"):
        load_adapter(tmp_path, base, Adapter(rank=8))
    with pytest.raises(RunFolderError, match="of another shape"):
        load_adapter(tmp_path, base, Adapter(targets=("q_proj",)))
    whole = (tmp_path / FILE).read_bytes()
    for part in range(16):
        (tmp_path / FILE).write_bytes(whole[: len(whole) * part // 16])
        with pytest.raises(RunFolderError, match="damaged"):
            load_adapter(tmp_path, base, Adapter())


def test_unknown_targets_are_named(base: BaseModel) -> None:
    with pytest.raises(ModelError, match="no linear layer 'c_attn' in the base; it has down_proj, gate_proj"):
        base.targets(Adapter(targets=("c_attn",)))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(tmp_path, "fp32")
