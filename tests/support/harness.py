"""Models as lm-evaluation-harness takes them: the peer whose scores ours must equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def harness_model(
    folder: Path, *, batch: int, precision: torch.dtype = torch.float32, device: str = "cpu", **options: Any
) -> Any:
    """HFLM on the weights and the tokenizer of `folder`; neither library declares the types that this needs."""
    from lm_eval.models import huggingface
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=precision)
    hflm: Any = huggingface.HFLM
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return hflm(pretrained=model.to(device).eval(), tokenizer=tokenizer, batch_size=batch, **options)
