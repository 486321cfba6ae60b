"""What a family is put through: training, packing, scoring, generation, export, a full model, against transformers and
PEFT. Each check gives by how much it differs, or raises ModelError in the words of a refusal."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from regimen.data.batch import StepBatch
from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.banks import load_trained, save_trained
from regimen.engine.base_model import BaseModel, segment_mask
from regimen.engine.checkpoints import save_adapter
from regimen.engine.full_bank import full_row
from regimen.engine.generation import generate
from regimen.engine.loading import load_base
from regimen.engine.lockstep import Lockstep, Member
from regimen.engine.merging import merge_row
from regimen.engine.peft_check import load_by_peft
from regimen.engine.scoring import Scored, score
from regimen.engine.states import MemberState
from regimen.errors import ModelError
from regimen.study.schema import Adapter, Base, LearningRate, Schedule
from tests.support.families import save_family
from tests.support.streams import Stream

ADAPTER = Adapter(rank=4, alpha=8.0)
SCHEDULE = Schedule(learning_rate=LearningRate(pretrain=1e-3, finetune=1e-3), warmup_steps=2, clip_norm=0.5)
STEPS = 5
RATE = 2e-3
PROMPTS = ([5, 9, 3, 44, 71, 8, 20, 33, 60, 12, 7], [5, 9, 3, 90], [81, 2, 17, 40, 6, 55, 4])


class Family:
    """A tiny saved model of a family, loaded here and, plain, by transformers."""

    def __init__(self, name: str, folder: Path):
        self.folder = save_family(name, folder)
        self.base: BaseModel = load_base(self.folder, "fp32")
        self.plain: Any = plain(self.folder)

    @cached_property
    def changed(self) -> BaseModel:
        """A second base of it, whose weights each check overwrites."""
        return load_base(self.folder, "fp32")

    @property
    def ways(self) -> str:
        """How it may be used: "all"; "apart" where answers are scored one by one; "alone" where texts are too."""
        if self.base.alone is not None:
            return "alone"
        return "all" if self.base.branches else "apart"

    def logits(self, ids: Sequence[int]) -> torch.Tensor:
        with torch.no_grad():
            return self.plain(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0]

    def packed(self) -> float:
        """Two segments in a row, the second longer than a window, or each alone where that is how it trains."""
        texts = [list(PROMPTS[1]), [*PROMPTS[0], *PROMPTS[2]]]
        worst = 0.0
        with torch.inference_mode():
            if self.base.alone is None:
                tokens = torch.tensor([[token for text in texts for token in text]])
                positions = torch.tensor([[place for text in texts for place in range(len(text))]])
                rows = self.base.body(tokens, positions, segment_mask(positions))[0].split([len(t) for t in texts])
            else:
                rows = [self.base.body(torch.tensor([t]), torch.arange(len(t))[None], None)[0] for t in texts]
            for text, hidden in zip(texts, rows, strict=True):
                wanted = self.logits(text)
                worst = max(worst, float((self.base.logits(hidden) - wanted).abs().max() / wanted.abs().max()))
        return worst

    def trained(self) -> float:
        """Losses of five steps against PEFT with torch's AdamW, each segment by itself."""
        stream: Any = Stream(3) if self.base.alone is None else Unpacked(3)
        row = initial_row(self.base, ADAPTER, 1)
        member = Member("m", stream, 0, STEPS, RATE, None, MemberState.fresh(row.clone()))
        lockstep = Lockstep(self.base, ADAPTER, SCHEDULE, [member])
        ours = [record.loss for _ in range(STEPS) for record in lockstep.step()]
        theirs = peft_losses(self.plain_with(row, trains=True), [stream.batch(step) for step in range(STEPS)])
        return max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))

    def plain_with(self, row: torch.Tensor, *, trains: bool = False) -> Any:
        """A fresh plain model with an adapter of ours on it, loaded by PEFT; raises ModelError where PEFT loses it."""
        with tempfile.TemporaryDirectory() as folder:
            save_adapter(Path(folder), self.base, Base(id=str(self.folder)), ADAPTER, row)
            model, lost = load_by_peft(copy.deepcopy(self.plain), Path(folder))
        if lost is not None:
            raise ModelError(lost)
        for name, weight in model.named_parameters():
            weight.requires_grad_(trains and "lora_" in name)
        return model

    def scored(self) -> float:
        """Nats of several answers behind shared and other prompts."""
        answers = [[5], [6, 7], [8, 9, 10, 11, 12]]
        worst = 0.0
        items = [Scored(prompt, answers) for prompt in PROMPTS]
        for item, values in zip(items, score(self.base, None, items), strict=True):
            for ids, value in zip(answers, values[0], strict=True):
                logs = self.logits([*item.prompt, *ids]).log_softmax(-1)[len(item.prompt) - 1 : -1]
                worst = max(worst, abs(float(value) - float(logs.gather(1, torch.tensor(ids)[:, None]).sum())))
        return worst

    def generated(self) -> bool:
        """Whether greedy ids are those of transformers' generate."""
        ours = generate(self.base, None, PROMPTS, 8, lambda ids: False)
        for prompt, (mine,) in zip(PROMPTS, ours, strict=True):
            tokens = torch.tensor([list(prompt)])
            out = self.plain.generate(
                tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=8, do_sample=False, pad_token_id=0
            )[0, len(prompt) :].tolist()  # fmt: skip
            if mine.ids != [token for token in out if token not in self.base.ends]:
                return False
        return True

    def exported(self) -> float:
        """An adapter in our engine, loaded by PEFT, and merged by us, on one text."""
        row = initial_row(self.base, ADAPTER, 1)
        row += 0.05 * torch.randn(row.shape, generator=torch.Generator().manual_seed(4))
        text = list(PROMPTS[0])
        tokens = torch.tensor([text])
        with torch.inference_mode(), AdapterBank(self.base, ADAPTER, [row]).attached():
            ours = self.base.logits(self.base.body(tokens, torch.arange(len(text))[None], None)[0])
        others = [self.merged(row)(input_ids=tokens, use_cache=False).logits[0]]
        if self.base.peft_fault is None:
            others.append(self.plain_with(row)(input_ids=tokens, use_cache=False).logits[0])
        return max(float((ours - other).abs().max() / ours.abs().max()) for other in others)

    def merged(self, row: torch.Tensor) -> Any:
        """The model with the adapter merged into it, saved by us and loaded by transformers."""
        merge_row(self.changed, ADAPTER, row)
        with tempfile.TemporaryDirectory() as folder:
            self.changed.save(Path(folder))
            return plain(Path(folder))

    def full(self) -> bool:
        """Whether a whole model that was trained is read back bit for bit."""
        adapter = Adapter(method="full")
        row = full_row(self.base) + 0.01
        with tempfile.TemporaryDirectory() as folder:
            save_trained(Path(folder), self.changed, Base(id="x"), adapter, row)
            return torch.equal(load_trained(Path(folder), self.base, adapter), full_row(self.changed))


class Unpacked(Stream):
    """One segment a row, padding after it."""

    def batch(self, step: int) -> StepBatch:
        batch = super().batch(step)
        lengths = batch.lengths
        loss = batch.loss.copy()
        positions = batch.positions.copy()
        for row, length in enumerate(lengths):
            positions[row, :length] = range(length)
            loss[row, 1:length:2] = True
        return StepBatch(batch.tokens, positions, loss, lengths)


def plain(folder: Path) -> Any:
    """The model as transformers has it, with eager attention."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    return model.eval().requires_grad_(False)


def peft_losses(model: Any, batches: Sequence[StepBatch]) -> list[float]:
    """The mean loss of each step, by PEFT's modules, autograd and torch's AdamW."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=RATE, betas=SCHEDULE.betas, eps=SCHEDULE.epsilon, weight_decay=0.0)
    losses = []
    for step, batch in enumerate(batches):
        total = torch.zeros(())
        for row, length in enumerate(batch.lengths):
            starts = [place for place in range(length) if batch.positions[row, place] == 0]
            for start, end in zip(starts, [*starts[1:], length], strict=True):
                ids = torch.from_numpy(batch.tokens[row, start:end]).long()
                marks = torch.from_numpy(batch.loss[row, start:end])[1:]
                logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1].float()
                total = total + torch.nn.functional.cross_entropy(logits[marks], ids[1:][marks], reduction="sum")
        loss = total / batch.loss_tokens
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, SCHEDULE.clip_norm)
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / SCHEDULE.warmup_steps)
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses
