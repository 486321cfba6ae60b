"""Compiled decoder layers: the same losses and adapters as eager ones, and nothing left behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from regimen.engine.adapter_bank import initial_row
from regimen.engine.loading import load_base
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.states import MemberState
from regimen.study.schema import Adapter, LearningRate, Schedule
from tests.support.random_models import CONFIGS, save_random
from tests.support.streams import Stream

SCHEDULE = Schedule(learning_rate=LearningRate(pretrain=1e-3, finetune=1e-3), warmup_steps=0, clip_norm=0.5)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_compiled_layers_train_alike(tmp_path: Path) -> None:
    base = load_base(save_random(tmp_path, CONFIGS["qwen2"]), "fp32")

    def train(compiled: bool) -> tuple[list[float], torch.Tensor]:
        members = [
            Member(str(s), Stream(s), 0, 5, 5e-3, None, MemberState.fresh(initial_row(base, Adapter(), s)))
            for s in (1, 2)
        ]
        lockstep = Lockstep(base, Adapter(), SCHEDULE, members, compiled=compiled)
        losses = [record.loss for _ in range(5) for record in lockstep.step()]
        return losses, torch.stack([member.state.row for member in members])

    eager, rows = train(False)
    compiled, others = train(True)
    assert compiled == pytest.approx(eager, rel=1e-4)
    assert float((rows - others).norm() / rows.norm()) < 1e-4
    assert train(True)[0] == compiled, "the same program again"
    assert not any("forward" in vars(layer) for layer in base.model.model.layers)
    assert train(False)[0] == eager, "and eager is eager again"
