"""Tiny random models of the families that people use, built on the spot from the settings in families.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

VOCABULARY = 97
COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 0,
    "head_dim": 8,
    "attention_dropout": 0.0,
}
FAMILIES: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("families.yaml").read_text("utf-8"))
# texts stand alone, since convolutions and states know no segments
ALONE = {
    "lfm2", "qwen3_next", "qwen3_5_text", "granitemoehybrid", "bamba", "falcon_h1", "jamba", "zamba2", "nemotron_h",
    "mamba", "mamba2", "falcon_mamba", "recurrent_gemma",
}  # fmt: skip
REFUSED = {"rwkv": "a generated token differs from plain transformers"}
QUICK = {"qwen3", "mistral-window", "gemma2", "gemma3", "gpt2", "phi", "granite", "gpt_oss", "lfm2", "llama4_text"}


def marked(name: str) -> object:
    """A family for a parametrised test: slow unless it is among the quick ones."""
    return pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)


def config_of(name: str) -> PretrainedConfig:
    """The tiny configuration of a family."""
    own = dict(FAMILIES[name])
    kind = own.pop("model_type", name)
    settings = {**COMMON, **own}
    if settings["head_dim"] is None:  # a configuration that works it out by itself
        del settings["head_dim"]
    return AutoConfig.for_model(kind, **settings)


def save_family(name: str, folder: Path) -> Path:
    """A tiny model of the family, saved; its weights are such that every part of it shows in the logits."""
    torch.manual_seed(11)
    model = AutoModelForCausalLM.from_config(config_of(name))
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn_like(weight)
            weight.copy_(noise / weight.shape[-1] ** 0.5 if weight.dim() > 1 else weight + 0.1 * noise)
    model.save_pretrained(folder)
    return folder
