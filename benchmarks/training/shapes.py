"""Qwen2-0.5B's true shape with random weights, for timings and memory where the weights themselves do not matter.

The shape is that of https://huggingface.co/Qwen/Qwen2-0.5B (config.json): 494.03M parameters, embeddings tied.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from regimen.engine.assembly import assemble, attention_of
from regimen.engine.base_model import DTYPES, BaseModel

QWEN2_05B = Qwen2Config(
    hidden_size=896,
    intermediate_size=4864,
    num_hidden_layers=24,
    num_attention_heads=14,
    num_key_value_heads=2,
    vocab_size=151936,
    tie_word_embeddings=True,
    max_position_embeddings=131072,
    rope_parameters={"rope_type": "default", "rope_theta": 1e6},
)


def random_model(precision: str, device: str, attention: str):
    """The model of transformers, on the device."""
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(QWEN2_05B, dtype=DTYPES[precision], attn_implementation=attention)


def random_base(precision: str = "bf16", device: str = "cpu") -> BaseModel:
    """The same as regimen's engine loads a base."""
    model = random_model(precision, device, attention_of(QWEN2_05B)).eval().requires_grad_(False)
    return assemble(model, Path(), torch.device(device), frozenset({151643}))
