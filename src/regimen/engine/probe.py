"""Checks that a base is computed here as plain transformers computes it, before anything is read or trained.

Owns the comparison: a cut of the model, once plain with eager attention and once as this engine runs it, on packed
segments, branches, shared beginnings, left padding, cached steps, and the gradients of two adapters. Does not know
files of a base or what is remembered."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.assembly import assemble, attention_of
from regimen.engine.base_model import BaseModel, segment_mask
from regimen.engine.checkpoints import save_adapter
from regimen.engine.continuations import Continuation
from regimen.engine.cut import VOCABULARY, cuts
from regimen.engine.generation import fill_group
from regimen.engine.merging import merge_row
from regimen.engine.objective import token_losses
from regimen.engine.peft_check import load_by_peft
from regimen.engine.prefixes import Group
from regimen.engine.reference import Reference
from regimen.engine.scoring import Scored, score_group
from regimen.engine.stateful_generation import fill_alone
from regimen.engine.verdicts import Verdict
from regimen.errors import ModelError
from regimen.study.schema import Adapter, Base

LIMIT = 1e-3  # of the largest logit, of the largest gradient of a layer, or nats
LENGTHS = (5, 13)  # tokens of the two segments; the second is longer than the window of the cut
ADAPTER = Adapter(rank=2, alpha=4.0)
NEW_TOKENS = 3


def examine(model: Any) -> Verdict:
    """The abilities of a base of this kind, tried now; raises ModelError if it is computed rightly in no way."""
    family = type(model).__name__
    with torch.random.fork_rng(devices=[]):
        pair = Pair.of(model)
        alone = None
        fault = _first_fault(pair.trained_packed())
        if fault is not None:
            alone = pair.ours.alone = (
                f"{family} cannot keep apart texts that share a row ({fault}); set `packing: false` and train on "
                "prompts with answers"
            )
            fault = _first_fault(pair.trained_alone())
        branches = alone is None and _first_fault(pair.asked_together()) is None
        fault = fault or (None if branches else _first_fault(pair.asked_alone()))
        fault = fault or _first_fault([("an adapter merged into the weights", pair.merged)])
        if fault is not None:
            raise ModelError(f"{family} is not computed rightly here: {fault}; it is not supported")
        return Verdict(alone, branches, _first_fault([("an adapter loaded by PEFT", pair.by_peft)]))


Check = tuple[str, Callable[[], float]]


def _first_fault(checks: Sequence[Check]) -> str | None:
    """The first thing that differs by more than the limit, or fails, and by how much."""
    for what, measure in checks:
        try:
            by = measure()
        except Exception as fault:  # a model's code raises whatever it happens to raise
            said = str(fault).strip().splitlines()
            return f"{what} cannot be computed ({type(fault).__name__}: {said[0][:160] if said else 'no message'})"
        if not by <= LIMIT:
            return f"{what} differs from plain transformers by {by:.2g}"
    return None


@dataclass
class Pair:
    """The same cut twice: `plain` as transformers runs it, `ours` as this engine does; two adapters on both."""

    plain: Reference
    ours: BaseModel
    bank: AdapterBank
    texts: list[list[int]]

    @classmethod
    def of(cls, model: Any) -> Pair:
        plain, other = cuts(model, attention_of(model.config))
        ours = assemble(other, Path(), torch.device("cpu"), frozenset())
        if not ours.linears:
            raise ModelError(f"{type(model).__name__} has no linear layer that could carry an adapter")
        generator = torch.Generator().manual_seed(7)
        rows = [initial_row(ours, ADAPTER, seed) for seed in (1, 2)]
        rows = [row + 0.1 * torch.randn(row.shape, generator=generator) for row in rows]
        known = min(VOCABULARY, ours.head.shape[0])
        texts = [torch.randint(2, known, (n,), generator=generator).tolist() for n in LENGTHS]
        bank = AdapterBank(ours, ADAPTER, rows)
        return cls(Reference(plain, bank.slots, rows, ADAPTER.alpha / ADAPTER.rank), ours, bank, texts)

    def trained_packed(self) -> list[Check]:
        """The premises of training, each with a function that measures the difference."""
        return [
            ("a text longer than a window, alone in its row,", self.longest),
            ("a text packed beside another", self.packed),
            ("the gradient of an adapter", self.gradients),
        ]

    def trained_alone(self) -> list[Check]:
        """The same for a base that carries a state from token to token."""
        return [("a text alone", self.rows_alone), ("the gradient of an adapter", self.gradients)]

    def asked_together(self) -> list[Check]:
        """The premises of scoring and generation, in the same form."""
        return [
            ("the score of an answer among others to the same prompt", lambda: self.scores(0)),
            ("the score of an answer after a shared beginning", lambda: self.scores(3)),
            ("a token generated from the cache", lambda: self.generated(0)),
            ("a token generated after a shared beginning", lambda: self.generated(3)),
            ("a token generated as on a GPU", lambda: self.generated(3, fixed=True)),
        ]

    def asked_alone(self) -> list[Check]:
        """The same where every answer and every prompt has a row of its own, without padding before it."""
        return [("the score of an answer", self.scores_alone), ("a generated token", self.generated_alone)]

    def _run(self, rows: Sequence[Sequence[Sequence[int]]]) -> tuple[Tensor, list[list[tuple[int, int]]]]:
        """Our hidden states of rows of segments for both adapters, (2, R, L, d), and where each segment lies."""
        width = max(sum(len(text) for text in row) for row in rows) + 2
        tokens = torch.zeros(len(rows), width, dtype=torch.long)
        positions = torch.zeros_like(tokens)
        places: list[list[tuple[int, int]]] = []
        for index, row in enumerate(rows):
            end = 0
            places.append([])
            for text in row:
                places[-1].append((end, end + len(text)))
                tokens[index, end : end + len(text)] = torch.tensor(text)
                positions[index, end : end + len(text)] = torch.arange(len(text))
                end += len(text)
            positions[index, end:] = torch.arange(width - end)
        mask = None if self.ours.alone else segment_mask(positions.repeat(2, 1))
        hidden = self.ours.body(tokens.repeat(2, 1), positions.repeat(2, 1), mask)
        return hidden.view(2, len(rows), width, -1), places

    def _worst(self, rows: Sequence[Sequence[Sequence[int]]]) -> float:
        with torch.inference_mode(), self.bank.attached():
            hidden, places = self._run(rows)
            worst = 0.0
            for member in range(2):
                for row, texts in enumerate(rows):
                    for text, (start, end) in zip(texts, places[row], strict=True):
                        found = self.ours.logits(hidden[member, row, start:end]).float()
                        worst = max(worst, _apart(found, self.plain.logits(member, text)))
        return worst

    def packed(self) -> float:
        """Both segments in a row, padding after them."""
        return self._worst([self.texts, self.texts[::-1]])

    def rows_alone(self) -> float:
        """Each text in a row of its own, the shorter padded."""
        return self._worst([[text] for text in self.texts])

    def longest(self) -> float:
        """The longest text without padding or mask, as it is prefilled."""
        text = self.texts[1]
        with torch.inference_mode(), self.bank.attached():
            tokens = torch.tensor([text]).expand(2, -1)
            hidden = self.ours.body(tokens, torch.arange(len(text)).expand(2, -1), None)
            found = self.ours.logits(hidden.flatten(0, 1)).view(2, len(text), -1).float()
        return max(_apart(found[member], self.plain.logits(member, text)) for member in range(2))

    def gradients(self) -> float:
        """A training pass of both adapters against autograd through the plain model."""
        rows = [[text] for text in self.texts] if self.ours.alone else [self.texts]
        self.bank.grads.zero_()
        with self.bank.attached():
            hidden, places = self._run(rows)
            predicted = torch.zeros(hidden.shape[:3], dtype=torch.bool)
            tokens = torch.zeros(hidden.shape[:3], dtype=torch.long)
            for row, texts in enumerate(rows):
                for text, (start, end) in zip(texts, places[row], strict=True):
                    predicted[:, row, start + 1 : end] = True
                    tokens[:, row, start:end] = torch.tensor(text)
            weights = torch.ones(2 * len(rows))
            flat = (hidden.flatten(0, 1), self.ours.output, tokens.flatten(0, 1), predicted.flatten(0, 1), weights)
            token_losses(*flat)[0].backward()
        return max(self._gradient_apart(member) for member in range(2))

    def _gradient_apart(self, member: int) -> float:
        wanted = self.plain.gradients(member, self.texts)
        largest = max(float(grad.abs().max()) for grad in wanted)
        worst = 0.0
        for slot, theirs in zip(self.bank.slots, wanted, strict=True):
            found = self.bank.grads[member, slot.start : slot.end].view(slot.shape)
            worst = max(worst, float((found - theirs).abs().max()) / largest)
        return worst

    def merged(self) -> float:
        """The weights with an adapter merged into them against the adapter beside them."""
        before = {name: value.clone() for name, value in self.ours.model.state_dict().items()}
        wanted = [self.plain.logits(0, text) for text in self.texts]
        merge_row(self.ours, ADAPTER, self.bank.row(0))
        try:
            with torch.no_grad():
                found = [
                    self.plain.model(input_ids=torch.tensor([text]), use_cache=False).logits[0] for text in self.texts
                ]
        finally:
            self.ours.model.load_state_dict(before)
        return max(_apart(one.float(), other) for one, other in zip(found, wanted, strict=True))

    def by_peft(self) -> float:
        """The adapter's files loaded by PEFT; the plain model is PEFT's from then on."""
        text = self.texts[1]
        wanted = self.plain.logits(0, text)
        with tempfile.TemporaryDirectory() as folder:
            save_adapter(Path(folder), self.ours, Base(id=folder), ADAPTER, self.bank.row(0))
            model, lost = load_by_peft(self.plain.model, Path(folder))
        if lost is not None:
            raise ModelError(lost)
        with torch.no_grad():
            return _apart(model(input_ids=torch.tensor([text]), use_cache=False).logits[0].float(), wanted)

    def _items(self) -> list[Scored]:
        short, long = self.texts
        return [Scored(long[:9], [[5], [6, 7], long[9:]]), Scored(long[:3] + short, [short, [8, 9, 10, 11]])]

    def scores(self, shared: int) -> float:
        """Log-likelihoods of branches side by side, after a beginning that is read once if `shared`."""
        items = self._items()
        found = score_group(self.ours, self.bank, items, Group([0, 1], shared))
        return self._score_apart(items, found)

    def scores_alone(self) -> float:
        """Log-likelihoods, each answer in a row of its own."""
        items = self._items()
        return self._score_apart(items, score_group(self.ours, self.bank, items, None))

    def _score_apart(self, items: Sequence[Scored], found: Sequence[Any]) -> float:
        worst = 0.0
        for item, values in zip(items, found, strict=True):
            for choice, ids in enumerate(item.continuations):
                for member in range(2):
                    logs = self.plain.logits(member, [*item.prompt, *ids]).log_softmax(dim=-1)[
                        len(item.prompt) - 1 : -1
                    ]
                    wanted = float(logs.gather(1, torch.tensor(list(ids))[:, None]).sum())
                    worst = max(worst, abs(wanted - float(values[member, choice])))
        return worst

    def _prompts(self) -> list[list[int]]:
        short, long = self.texts
        return [long[:11], long[:3] + short[:2], long[:3] + short]

    def generated(self, shared: int, *, fixed: bool = False) -> float:
        """The margin by which a greedily chosen token is less likely than the likeliest; prompts padded on the left."""
        prompts = self._prompts()
        results = [[Continuation(), Continuation()] for _ in prompts]
        group = Group(list(range(len(prompts))), shared)
        fill_group(self.ours, self.bank, prompts, group, results, NEW_TOKENS, lambda ids: False, fixed=fixed)
        return self._choice_apart(prompts, results)

    def generated_alone(self) -> float:
        """The same by transformers' own loop and cache."""
        prompts = self._prompts()
        results = [[Continuation(), Continuation()] for _ in prompts]
        fill_alone(self.ours, self.bank, prompts, results, NEW_TOKENS, lambda ids: False)
        return self._choice_apart(prompts, results)

    def _choice_apart(self, prompts: Sequence[list[int]], results: Sequence[list[Continuation]]) -> float:
        worst = 0.0
        for prompt, by_member in zip(prompts, results, strict=True):
            for member, out in enumerate(by_member):
                if len(out.ids) != NEW_TOKENS:
                    return float("inf")
                logits = self.plain.logits(member, [*prompt, *out.ids])[len(prompt) - 1 : -1]
                chosen = logits.gather(1, torch.tensor(out.ids)[:, None])[:, 0]
                worst = max(worst, float((logits.amax(dim=1) - chosen).max()))
        return worst


def _apart(found: Tensor, wanted: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((found - wanted).abs().max() / wanted.abs().max())
