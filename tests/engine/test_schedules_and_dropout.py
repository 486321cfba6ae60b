"""Cosine, linear, rslora and dropout against PEFT, torch's AdamW and transformers' schedules, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from pydantic import ValidationError
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from regimen.engine.adapter_bank import initial_row, layout, named_factors
from regimen.engine.base_model import BaseModel, segment_mask
from regimen.engine.dropout import kept_of_row
from regimen.engine.lockstep import Lockstep, Member, StepRecord
from regimen.engine.optimiser import learning_rate
from regimen.engine.states import MemberState
from regimen.plan import TrainSpec, compile_plan
from regimen.plan.unshared import steps_unshared
from regimen.study import load_study
from regimen.study.schema import Adapter, LearningRate, Schedule
from tests.support.streams import Stream
from tests.support.studies import with_fields

RATES = LearningRate(pretrain=1e-3, finetune=1e-3)
STEPS, PEAK, WARMUP = 7, 5e-3, 2
THEIRS = {"cosine": get_cosine_schedule_with_warmup, "linear": get_linear_schedule_with_warmup}


def schedule_of(kind: Any, warmup: int = WARMUP) -> Schedule:
    return Schedule(learning_rate=RATES, type=kind, warmup_steps=warmup, weight_decay=0.1, clip_norm=0.5)


@pytest.mark.parametrize("kind", list(THEIRS))
@pytest.mark.parametrize("warmup", [0, 3])
def test_rates_are_those_of_transformers(kind: str, warmup: int) -> None:
    """After the warm-up; within it ours is one step ahead, since theirs wastes the first step on a rate of 0."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=PEAK)
    theirs = THEIRS[kind](optimiser, warmup, 20)
    for step in range(20):
        ours = learning_rate(step, PEAK, schedule_of(kind, warmup), 0, 20)
        if step >= warmup:
            assert ours == pytest.approx(theirs.get_last_lr()[0], rel=1e-12)
        else:
            assert ours == pytest.approx(PEAK * (step + 1) / warmup)
        optimiser.step()
        theirs.step()


class Given(nn.Module):
    """In PEFT's place of dropout: the factors that are given for each step."""

    def __init__(self, layer: str, share: float, seed: int):
        super().__init__()
        self.layer, self.share, self.seed, self.step = layer, share, seed, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = (self.seed, self.step)
        shape = (x.shape[1], x.shape[2])
        return x * torch.stack([kept_of_row(self.layer, self.share, one, row, shape) for row in range(len(x))])


def of_peft(folder: Path, base: BaseModel, adapter: Adapter, kind: Any, stream: Stream, seed: int) -> tuple[Any, Any]:
    """(losses, the trained factors) of PEFT's adapter, torch's AdamW and clipping, and plain full logits."""
    schedule = schedule_of(kind)
    config = LoraConfig(
        r=adapter.rank, lora_alpha=int(adapter.alpha), lora_dropout=adapter.dropout, use_rslora=adapter.rslora,
        target_modules="all-linear", task_type="CAUSAL_LM",
    )  # fmt: skip
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa"), config).train()
    factors = named_factors(layout(base, adapter), initial_row(base, adapter, seed))
    trained = {n.replace(".default", ""): p for n, p in model.named_parameters() if p.requires_grad}
    assert trained.keys() == factors.keys()
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(factors[name])
    given = []
    for name, module in model.named_modules():
        if adapter.dropout and hasattr(module, "lora_dropout"):
            given.append(Given(name.removeprefix("base_model.model."), adapter.dropout, seed))
            module.lora_dropout["default"] = given[-1]
    optimiser = torch.optim.AdamW(
        trained.values(), lr=PEAK, betas=schedule.betas, eps=schedule.epsilon, weight_decay=schedule.weight_decay
    )
    losses = []
    for step in range(STEPS):
        for one in given:
            one.step = step
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, PEAK, schedule, 0, STEPS)
        batch = stream.batch(step)
        tokens, positions = torch.from_numpy(batch.tokens).long(), torch.from_numpy(batch.positions).long()
        logits = model(
            input_ids=tokens, position_ids=positions, attention_mask=segment_mask(positions), use_cache=False
        ).logits
        each = functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        loss = each[torch.from_numpy(batch.loss)[:, 1:].flatten()].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(trained.values()), schedule.clip_norm)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    return losses, {name: parameter.detach() for name, parameter in trained.items()}


def member(base: BaseModel, adapter: Adapter, seed: int, kind: Any, warmup: int = WARMUP, last: int = STEPS) -> Member:
    state = MemberState.fresh(initial_row(base, adapter, seed))
    return Member(f"m{seed}", Stream(seed), 0, last, PEAK, 0, state, schedule=schedule_of(kind, warmup), seed=seed)


def train(base: BaseModel, adapter: Adapter, members: Sequence[Member], **options: Any) -> list[StepRecord]:
    lockstep = Lockstep(base, adapter, schedule_of("cosine"), members, **options)
    records = []
    while lockstep.running:
        records += lockstep.step()
    return records


@pytest.mark.parametrize(
    ("adapter", "kind"),
    [
        (Adapter(), "cosine"),
        (Adapter(), "linear"),
        (Adapter(rank=6, alpha=12, rslora=True), "linear"),
        (Adapter(dropout=0.25), "cosine"),
        (Adapter(rank=2, alpha=4, rslora=True, dropout=0.5), "linear"),
    ],
    ids=["cosine", "linear", "rslora", "dropout", "both"],
)
def test_each_step_is_peft_s_whoever_trains_beside_it(
    base: BaseModel, folder: Path, adapter: Adapter, kind: Any
) -> None:
    wanted, factors = of_peft(folder, base, adapter, kind, Stream(3), 3)
    one = member(base, adapter, 3, kind)
    others = [member(base, adapter, 4, "warmup_stable_decay", 5), member(base, adapter, 5, "cosine", 0, last=4)]
    records = train(base, adapter, [others[0], one, others[1]])
    assert [r.loss for r in records if r.member == "m3"] == pytest.approx(wanted, rel=2e-4)
    ours = named_factors(layout(base, adapter), one.state.row)
    for name, theirs in factors.items():
        assert (ours[name] - theirs).norm() <= 2e-3 * theirs.norm(), name


def test_dropout_is_the_same_in_micro_batches_alone_and_after_a_stop(base: BaseModel) -> None:
    adapter = Adapter(dropout=0.3)
    whole, cut, alone, stopped = (member(base, adapter, 3, "linear") for _ in range(4))
    train(base, adapter, [whole, member(base, adapter, 8, "linear")])
    train(base, adapter, [cut, member(base, adapter, 8, "linear")], pass_tokens=48)
    train(base, adapter, [alone])
    first = Lockstep(base, adapter, schedule_of("linear"), [stopped])
    for _ in range(3):
        first.step()
    first.settle()
    train(base, adapter, [stopped])
    assert torch.equal(stopped.state.row, alone.state.row)
    for other in (cut, alone):
        assert (other.state.row - whole.state.row).norm() < 1e-4 * whole.state.row.norm()
    plain = member(base, Adapter(), 3, "linear")
    train(base, Adapter(), [plain])
    assert (plain.state.row - whole.state.row).norm() > 1e-2 * whole.state.row.norm(), "dropout does something"


def test_a_share_is_dropped_and_the_rest_scaled() -> None:
    kept = kept_of_row("layer", 0.25, (1, 2), 3, (400, 50))
    assert kept.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.02)
    for other in (("other", (1, 2), 3), ("layer", (2, 2), 3), ("layer", (1, 3), 3), ("layer", (1, 2), 4)):
        assert not torch.equal(kept, kept_of_row(other[0], 0.25, other[1], other[2], (400, 50)))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"dora": True}, "DoRA is not offered"),
        ({"use_dora": True}, "DoRA is not offered"),
        ({"method": "full", "dropout": 0.1}, "settings of LoRA"),
        ({"dropout": 1.0}, "less than or equal to 0.9"),
    ],
)
def test_what_an_adapter_cannot_have_is_refused(settings: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Adapter.model_validate(settings)


@pytest.mark.parametrize("kind", list(THEIRS))
def test_the_plan_counts_what_lengths_no_longer_share(kind: str) -> None:
    study = load_study("qwen2-finance", "demo")
    usual = compile_plan(study)
    other = with_fields(study, schedule=with_fields(study.schedule, type=kind))
    plan = compile_plan(other)
    assert {(training.first_step, training.part) for training in plan.trainings()} == {(0, "cooldown")}
    assert steps_unshared(plan) == plan.steps_to_run - usual.steps_to_run > 0
    assert steps_unshared(usual) == steps_unshared(compile_plan(other, sharing=False)) == 0
    assert not {t.fingerprint for t in plan.trainings()} & {t.fingerprint for t in usual.trainings()}


def test_a_cohort_mixes_rates_and_warm_ups_but_no_rules_of_updates() -> None:
    training = next(compile_plan(load_study("qwen2-finance", "demo")).trainings())

    def shape(**changes: object) -> str:
        values = training.model_dump()
        values["leg"]["schedule"] |= changes
        return TrainSpec.model_validate(values).shape

    assert shape() == shape(warmup_steps=1) == shape(type="cosine") == training.shape
    others = [{"weight_decay": 0.1}, {"clip_norm": 2.0}, {"epsilon": 1e-6}, {"betas": (0.9, 0.95)}]
    assert len({training.shape, *(shape(**other) for other in others)}) == 5
