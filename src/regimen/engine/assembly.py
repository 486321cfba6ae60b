"""A base of a transformers model: its decoder found, its linear layers wrapped, its attention and masks ours.

Owns the choice of the attention that a model is built with, and the putting together. Does not know files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from regimen.engine.attention import NAME, PLAIN, register
from regimen.engine.base_model import BaseModel, decoder_of
from regimen.engine.head import head_of
from regimen.engine.lockstep_linear import wrap_linears
from regimen.errors import ModelError


def attention_of(config: Any) -> str:
    """The attention that models of this config are built with: ours, or their own for those that choose it by class."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    register()
    try:
        family = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    except KeyError:
        raise ModelError(f"{type(config).__name__} is no configuration of a causal language model") from None
    asks = "ALL_ATTENTION_FUNCTIONS" in vars(sys.modules[family.__module__])
    return NAME if asks else "eager"


def assemble(model: Any, folder: Path, device: torch.device, ends: frozenset[int]) -> BaseModel:
    """A base of a model that has been read: its decoder found, its linear layers wrapped, its masks ours."""
    config = model.config.get_text_config()
    if config._attn_implementation == "eager":
        config._attn_implementation_internal = PLAIN
    decoder = decoder_of(model)
    return BaseModel(model, folder, device, ends, decoder, head_of(model, config), wrap_linears(model, decoder))
