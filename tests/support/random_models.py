"""Small random models of the two architectures that the plan uses, saved as a base would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config

SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 97,
    "max_position_embeddings": 256,
    "eos_token_id": 0,
    "bos_token_id": 0,
}
CONFIGS: dict[str, PretrainedConfig] = {
    "qwen2": Qwen2Config(tie_word_embeddings=True, **SHAPE),
    "llama": LlamaConfig(tie_word_embeddings=False, **SHAPE),
}


def save_random(folder: Path, config: PretrainedConfig) -> Path:
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():  # larger than at initialisation, so that differences would show
        parameter.data.mul_(3).add_(0.01)
    model.save_pretrained(folder)
    return folder
