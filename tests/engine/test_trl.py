"""The oracle: one adapter trained here and by TRL's SFTTrainer with PEFT, the same rows in the same order, fp32."""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from regimen.data.batch import StepBatch
from regimen.data.blocks import Block, Example, pack_examples
from regimen.data.sources import Where, parts_of, rows_of
from regimen.data.tokenizer import TextTokenizer
from regimen.engine.adapter_bank import initial_row, layout, named_factors
from regimen.engine.base_model import BaseModel
from regimen.engine.loading import load_base
from regimen.engine.locate import is_present, locate_base
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.states import MemberState
from regimen.study import load_study
from regimen.study.schema import Adapter, LearningRate, Schedule

trl = pytest.importorskip("trl", reason="the oracle is not installed")

STEPS, PEAK = 10, 4e-3
ADAPTER = Adapter()
SCHEDULE = Schedule(learning_rate=LearningRate(pretrain=PEAK, finetune=PEAK), warmup_steps=0, clip_norm=0.7)


@dataclass(frozen=True)
class Blocks:
    """Given batches, in order."""

    steps: Sequence[Sequence[Block]]

    def batch(self, step: int) -> StepBatch:
        blocks = self.steps[step]
        return StepBatch(
            tokens=np.stack([b.tokens for b in blocks]),
            positions=np.stack([b.positions for b in blocks]),
            loss=np.stack([b.loss for b in blocks]),
            lengths=np.array([b.length for b in blocks], dtype=np.int32),
        )


def examples_of(profile: str, count: int, longest: int) -> tuple[Path, list[Example], int]:
    """A profile's base, and miniature tweets and reviews as the study fine-tunes on them."""
    study = load_study("qwen2-finance", profile)
    fault = is_present(study.base)
    if fault:
        pytest.skip(fault)
    folder = locate_base(study.base)
    tokenizer = TextTokenizer(folder)
    examples = []
    for name, text in (("twitter-sentiment", "text"), ("glue-sst2", "sentence")):
        for _, _, row in rows_of(parts_of(name, study.sources[name], "train", Where("miniature"))):
            words = tokenizer.encode(f"{row[text]}\nQuestion: which label?\nAnswer:")
            answer = [*tokenizer.encode(f" {('negative', 'positive', 'neutral')[row['label']]}, surely"), tokenizer.end]
            if len(words) + len(answer) <= longest:
                examples.append(Example(words, answer))
    random.Random(5).shuffle(examples)
    assert len(examples) >= count
    return folder, examples[:count], tokenizer.end


def losses_of_trl(
    folder: Path, base: BaseModel, examples: Sequence[Example], batch: int, row: torch.Tensor, out: Path
) -> list[float]:
    """Unpacked, completion-only, from the same initial adapter."""
    import datasets
    import peft
    from transformers import AutoModelForCausalLM, AutoTokenizer

    datasets.disable_progress_bars()
    factors = named_factors(layout(base, ADAPTER), row)
    rows = [{"input_ids": [*e.prompt, *e.answer], "labels": [-100] * len(e.prompt) + list(e.answer)} for e in examples]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        trainer = trl.SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            args=trl.SFTConfig(
                output_dir=str(out), max_steps=STEPS, per_device_train_batch_size=batch, learning_rate=PEAK,
                lr_scheduler_type="constant", max_grad_norm=SCHEDULE.clip_norm, weight_decay=0.0, adam_beta2=0.999,
                bf16=False, use_cpu=True, gradient_checkpointing=False, logging_steps=1, report_to="none",
                save_strategy="no", disable_tqdm=True, train_sampling_strategy="sequential", max_length=512,
            ),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(folder),
            peft_config=peft.LoraConfig(
                r=ADAPTER.rank, lora_alpha=int(ADAPTER.alpha), lora_dropout=0.0, target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
        )  # fmt: skip
        with torch.no_grad():
            for name, parameter in trainer.model.named_parameters():
                if parameter.requires_grad:
                    parameter.copy_(factors.pop(name.replace(".default", "")))
        assert not factors
        trainer.train()
    return [line["loss"] for line in trainer.state.log_history if "loss" in line]


def losses_of_ours(base: BaseModel, steps: Sequence[Sequence[Block]], row: torch.Tensor) -> list[float]:
    member = Member("one", Blocks(steps), 0, len(steps), PEAK, None, MemberState.fresh(row.clone()))
    lockstep = Lockstep(base, ADAPTER, SCHEDULE, [member])
    return [record.loss for _ in steps for record in lockstep.step()]


def losses_of_both(
    profile: str, out: Path, monkeypatch: pytest.MonkeyPatch, longest: int, batch: int
) -> tuple[list[float], list[float]]:
    """Ours and TRL's, step by step; on the way, packed examples give ours too."""
    folder, examples, pad = examples_of(profile, STEPS * batch, longest)
    base = load_base(folder, "fp32")
    row = initial_row(base, ADAPTER, 3)
    groups = [examples[i : i + batch] for i in range(0, len(examples), batch)]
    unpacked = [list(pack_examples(group, longest, pad, packing=False)) for group in groups]
    block = max(sum(map(len, group)) for group in groups)
    packed = [list(pack_examples(group, block, pad, packing=True)) for group in groups[:8]]
    assert {len(blocks) for blocks in packed} == {1}, "a whole step in one block"
    ours = losses_of_ours(base, unpacked, row)
    assert losses_of_ours(base, packed, row) == pytest.approx(ours[:8], abs=1e-4)
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    return ours, losses_of_trl(folder, base, examples, batch, row, out)


def learns(losses: list[float]) -> bool:
    """Whether the adapters moved at all."""
    return len(losses) == STEPS and losses[-1] < 0.8 * losses[0]


def test_the_tiny_qwen2_trains_as_trl_trains_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = losses_of_both("demo", tmp_path, monkeypatch, 64, 4)
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert learns(ours)


@pytest.mark.slow
def test_smollm2_trains_as_trl_trains_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = losses_of_both("pilot", tmp_path, monkeypatch, 32, 2)
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert learns(ours)
