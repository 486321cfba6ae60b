"""Full fine-tuning through the lockstep against a plain training loop of torch and transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

from regimen.engine.base_model import segment_mask
from regimen.engine.full_bank import FullBank, full_row
from regimen.engine.loading import load_base
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.states import MemberState
from regimen.errors import TrainingError
from regimen.study.schema import Adapter, LearningRate, Schedule
from tests.support.streams import Stream

SCHEDULE = Schedule(learning_rate=LearningRate(pretrain=1e-3, finetune=1e-3), warmup_steps=0, clip_norm=0.5)


def test_it_is_the_plain_loop(folder: Path) -> None:
    base = load_base(folder, "fp32")
    stream = Stream(3)
    member = Member("full", stream, 0, 5, 1e-3, None, MemberState.fresh(full_row(base)))
    lockstep = Lockstep(base, Adapter(method="full"), SCHEDULE, [member])
    ours = [record.loss for _ in range(5) for record in lockstep.step()]

    model = AutoModelForCausalLM.from_pretrained(folder)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    theirs = []
    for step in range(5):
        batch = stream.batch(step)
        tokens, positions = torch.from_numpy(batch.tokens).long(), torch.from_numpy(batch.positions).long()
        logits = model(
            input_ids=tokens, position_ids=positions, attention_mask=segment_mask(positions), use_cache=False
        ).logits
        losses = functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        loss = losses[torch.from_numpy(batch.loss)[:, 1:].flatten()].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimiser.step()
        optimiser.zero_grad()
        theirs.append(loss.item())
    assert ours == pytest.approx(theirs, rel=2e-5)
    row = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    assert float((member.state.row - row).norm() / row.norm()) < 1e-5


def test_two_cannot_share_a_base(folder: Path) -> None:
    base = load_base(folder, "fp32")
    with pytest.raises(TrainingError, match="2 full fine-tunings cannot share a base"):
        FullBank(base, [full_row(base)] * 2)
