"""TRL's SFTTrainer with PEFT, on rows tokenised beforehand: the peer that every ratio is against.

Owns its settings and the counting of real (non-padding) tokens. Does not know regimen's engine.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass(frozen=True)
class Setting:
    """One way to run TRL. `load` is the dtype of the base's weights; `autocast` is SFTConfig(bf16=...)."""

    packing: bool = False
    load: torch.dtype = torch.bfloat16
    autocast: bool = False
    compiled: bool = False
    batch: int = 8
    accumulate: int = 1
    attention: str = "sdpa"
    length: int = 128
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        kind = {torch.bfloat16: "bf16", torch.float32: "fp32"}[self.load]
        marks = [kind, "bfd-packed" if self.packing else "unpacked", f"batch {self.batch}x{self.accumulate}"]
        marks += ["autocast"] * self.autocast + ["compiled"] * self.compiled
        return ", ".join(marks)

    def but(self, **changes: Any) -> Setting:
        """This setting with some values changed."""
        return replace(self, **changes)


@dataclass
class Pace:
    """What a training took: real tokens and seconds after its first `warm` steps, and each step's loss."""

    tokens: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Real tokens a second."""
        return self.tokens / self.seconds


class _Counting(SFTTrainer):
    """Counts the real tokens of every step and notes when it ended."""

    def __init__(self, *args: Any, **kwargs: Any):
        self.counts: list[int] = []
        self.ends: list[tuple[float, float]] = []
        super().__init__(*args, **kwargs)

    def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        mask = inputs.get("attention_mask")
        self.counts.append(int(mask.sum()) if mask is not None else inputs["input_ids"].numel())
        loss = super().training_step(model, inputs, *args, **kwargs)
        self.ends.append((time.perf_counter(), time.process_time()))
        return loss


def train(
    base: Path,
    rows: Sequence[dict[str, list[int]]],
    setting: Setting,
    steps: int,
    warm: int = 2,
    device: str = "cpu",
) -> Pace:
    """Trains r=4, alpha 8 on all projections for `steps` optimiser steps on `rows` (input_ids, labels), in order."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=setting.load, attn_implementation=setting.attention)
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=setting.batch,
            gradient_accumulation_steps=setting.accumulate,
            max_length=setting.length,
            packing=setting.packing,
            bf16=setting.autocast,
            gradient_checkpointing=False,
            learning_rate=1e-3,
            lr_scheduler_type="constant",
            torch_compile=setting.compiled,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=device == "cpu",
            disable_tqdm=True,
            dataloader_drop_last=True,
            **setting.options,
        )
        trainer = _Counting(
            model=model,
            args=config,
            train_dataset=Dataset.from_list(list(rows)),
            processing_class=AutoTokenizer.from_pretrained(base),
            peft_config=LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM"),
        )
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # it prints every step
            trainer.train()
    parts = setting.accumulate
    pace = Pace(losses=[line["loss"] for line in trainer.state.log_history if "loss" in line])
    pace.tokens = sum(trainer.counts[warm * parts :])
    first, last = trainer.ends[warm * parts - 1], trainer.ends[-1]
    pace.seconds, pace.cpu_seconds = last[0] - first[0], last[1] - first[1]
    return pace
