"""The parts of a study: frozen, validated values. They never name the machine that runs it.

Owns the shapes of a study's parts, its sources (`study.sources`) and tasks (`study.tasks`) apart, and the checks that
one value can make of itself. Does not know files, YAML, the short forms a person writes (`study.file`), plans, or rows.
Every field here is a literal and so part of what a result is fingerprinted by, unless it says otherwise.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, StringConstraints, model_validator

from regimen.study.crossed import Cell
from regimen.study.endpoints import EndPoint
from regimen.study.tuning import Rung, Tune
from regimen.study.values import (
    Count,
    ExperimentId,
    FileName,
    Frozen,
    Name,
    Passes,
    Seed,
    Seeds,
    Share,
    Weight,
    shares,
)

Precision = Literal["fp32", "bf16", "auto"]
LegKind = Literal["pretrain", "finetune"]


class Base(Frozen):
    """The model that every experiment starts from.

    `origin` says how `id` is to be found: on the Hub, as GGUF in an installed wheel (`wheel` names the package),
    shipped with regimen, or a local folder. `precision` "auto" is settled when the study is loaded: bf16 where the
    processor multiplies it natively, else fp32.
    """

    id: FileName
    revision: FileName = "main"
    origin: Literal["hub", "wheel", "packaged", "folder"] = "hub"
    wheel: FileName | None = None
    precision: Precision = "bf16"


class Adapter(Frozen):
    """The trained weights: LoRA factors of `rank` on the target linear layers, scaled by alpha / rank, or all weights.

    `targets` is "all-linear" (every linear projection of every layer) or the names of projections. `rslora` scales by
    alpha / sqrt(rank) (Kalajdzievski 2023, arXiv 2312.03732). `dropout` zeroes that share of the values that enter the
    factors while they train, as PEFT's `lora_dropout` does.
    """

    method: Literal["lora", "full"] = "lora"
    rank: Annotated[int, Field(ge=1, le=1024)] = 4
    alpha: Annotated[float, Field(gt=0, le=1e6)] = 8.0
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    rslora: bool = False
    dropout: Annotated[float, Field(ge=0, le=0.9)] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _no_dora(cls, written: Any) -> Any:
        if isinstance(written, dict) and written.keys() & {"dora", "use_dora"}:
            raise ValueError(
                "DoRA is not offered, since adapters with norms of their own cannot share a pass; leave it out"
            )
        return written

    @model_validator(mode="after")
    def _only_of_lora(self) -> Adapter:
        if self.method == "full" and (self.rslora or self.dropout):
            raise ValueError("`rslora` and `dropout` are settings of LoRA; leave them out where `method` is full")
        return self

    @property
    def scale(self) -> float:
        """The factor on the product of the factors."""
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)


class GivenAdapter(Frozen):
    """A LoRA adapter that somebody trained before: a folder beside the study or a repository of the Hub, as PEFT saves.

    `base` names the base it was trained on where its own configuration names that otherwise. The other fields are
    filled in from its files when the study is loaded: the weights' SHA-256, and how they are applied.
    """

    adapter: FileName
    revision: FileName = "main"
    base: FileName | None = None
    digest: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
    rank: Annotated[int, Field(ge=1, le=1024)]
    alpha: Annotated[float, Field(gt=0, le=1e6)]
    targets: Annotated[tuple[str, ...], Field(min_length=1)]
    rslora: bool = False

    @property
    def settings(self) -> Adapter:
        """Its settings, those of training left out."""
        return Adapter(rank=self.rank, alpha=self.alpha, targets=self.targets, rslora=self.rslora)


class Batch(Frozen):
    """One optimiser step takes `sequences` blocks of `block` tokens; packing puts whole examples together."""

    sequences: Annotated[int, Field(ge=1, le=4096)] = 8
    block: Annotated[int, Field(ge=16, le=131072)] = 512
    packing: bool = True


class LearningRate(Frozen):
    """Peak learning rates by what is done; `full` is a factor on them when all weights train."""

    pretrain: Annotated[float, Field(gt=0, lt=1)]
    finetune: Annotated[float, Field(gt=0, lt=1)]


def stable_steps(steps: int, cooldown: float) -> int:
    """The step at which the constant part ends: floor((1 - cooldown) * steps), exact for decimal shares."""
    return math.floor(round((1 - cooldown) * steps, 6))


class Schedule(Frozen):
    """Linear warm-up, constant, 1-sqrt cooldown (Hägele et al. 2024, arXiv 2405.18392); AdamW; clipping.

    The constant part ends at floor((1 - cooldown) * steps). Of the `type` "cosine" or "linear" the rate falls from the
    end of the warm-up to 0 at the last step (no cooldown); trainings of other lengths then share no steps. `chain` says
    what a leg does with the adapter of the leg before: train it on, or merge it into the base and start a new one.
    """

    learning_rate: LearningRate
    type: Literal["warmup_stable_decay", "cosine", "linear"] = "warmup_stable_decay"
    warmup_steps: Annotated[int, Field(ge=0, le=10**9)] = 100
    cooldown: Annotated[float, Field(gt=0, le=1)] = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Share, Share] = (0.9, 0.999)
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    chain: Literal["continue", "merge_then_new"] = "continue"

    @property
    def has_trunk(self) -> bool:
        """Whether its first steps are the same for every length, so that trainings of several lengths share them."""
        return self.type == "warmup_stable_decay"

    def rungs_of(self, tune: Tune, steps: int) -> tuple[Rung, ...]:
        """The rungs of a choice of the rate of a training of so many steps; raises TuneFault where it is too short."""
        before_fall = (lambda count: stable_steps(count, self.cooldown)) if self.has_trunk else (lambda count: count)
        return tune.rungs(steps, before_fall, self.warmup_steps)


class Validate(Frozen):
    """How trainings are looked at on validation rows: after every `every` steps of a leg, and at its end.

    What is computed is the loss (nats a token, the mixture's sources by their weights) and the headline metric of the
    tasks of these sources; `at_most` limits the blocks of a source and the items of a task. `keep: best` keeps the
    weights of the best of these steps, by the loss or by the mean of the headline metrics; the earlier of equal ones.
    """

    every: Count | None = None
    keep: Literal["last", "best"] = "last"
    by: Literal["loss", "headline"] = "loss"
    at_most: Count = 256


# a field cannot be called `validate`, which is a method of every value
OwnValidate = Annotated[Validate | None, Field(validation_alias=AliasChoices("validate", "validation"))]


class Leg(Frozen):
    """One uninterrupted training: a kind, a mixture of sources, a number of optimiser steps.

    `epochs` says how often as many sequences are read as the sources of the mixture have blocks together; its steps are
    0 until these have been counted.
    """

    kind: LegKind
    mixture: dict[Name, Weight] = Field(min_length=1)
    steps: Annotated[int, Field(ge=0, le=10**9)]
    epochs: Passes | None = None

    @model_validator(mode="after")
    def _check(self) -> Leg:
        if not self.steps and self.epochs is None:
            raise ValueError("a leg needs at least 1 step")
        return self

    @property
    def shares(self) -> dict[str, float]:
        """The mixture as shares of sequences, which add up to 1."""
        return shares(self.mixture)


OVERRIDES = ("base", "adapter", "batch", "schedule", "learning_rate", "tune", "rows", "seed")


class Experiment(Frozen):
    """A row of the plan. A baseline has a `task` and no legs; `start_from` is another experiment's end.

    `given` is an adapter of the user's that it starts from instead; without legs it is evaluated as it is.

    `base`, `adapter`, `batch`, `schedule`, `learning_rate`, `seed` and `validation` override the study's; None takes
    the study's. With `tune` the learning rate is chosen while the plan runs. `rows` trains on so many rows of each
    source (None: all). `replicate_of` names the first run of the same recipe, from which this one differs in the seed
    alone; `varied` holds the values of the axes along which its group varies, `cell` its place in a crossed design.
    """

    id: ExperimentId
    phase: str
    title: str
    task: Name | None = None
    legs: tuple[Leg, ...] = ()
    start_from: ExperimentId | None = None
    given: GivenAdapter | None = None
    base: Base | None = None
    adapter: Adapter | None = None
    batch: Batch | None = None
    schedule: Schedule | None = None
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    tune: Tune | None = None
    rows: Count | None = None
    seed: Seed | None = None
    replicate_of: ExperimentId | None = None
    varied: dict[str, bool | int | float | str] = Field(default_factory=dict)
    cell: Cell | None = None
    validation: OwnValidate = None

    @property
    def recipe(self) -> str:
        """The id of its recipe, which is the id of the recipe's first run."""
        return self.replicate_of or self.id

    @property
    def kind(self) -> Literal["baseline", "pretrain", "finetune"]:
        """The kind of the last leg, or "baseline", also of a given adapter as it is."""
        return self.legs[-1].kind if self.legs else "baseline"

    @property
    def steps(self) -> int:
        """Optimiser steps of its own legs together, those of `start_from` not counted."""
        return sum(leg.steps for leg in self.legs)

    @property
    def single_leg(self) -> Leg | None:
        """The leg of an experiment that trains the base in one leg; None for baselines and chains."""
        alone = self.start_from is None and self.given is None
        return self.legs[0] if len(self.legs) == 1 and alone else None

    @property
    def is_given(self) -> bool:
        """True for an adapter of the user's that is evaluated as it is."""
        return self.given is not None and not self.legs

    @property
    def plain_leg(self) -> Leg | None:
        """The `single_leg` of an experiment that overrides nothing of the study's; None for any other.

        Plain experiments differ in their mixture and steps alone, so they can be compared as such; those with settings
        of their own are controls.
        """
        return self.single_leg if all(getattr(self, name) is None for name in OVERRIDES) else None

    def end_of_leg(self, number: int) -> EndPoint:
        """The end point of the leg of that number, from 1; the last leg's is the experiment's own."""
        return EndPoint(self.id, None if number == len(self.legs) else number)


class Cost(Frozen):
    """The plan's rate, used until this machine's is measured."""

    steps_per_gpu_hour: Annotated[float, Field(ge=1e-3, le=1e12)] = 2000.0
    baseline_gpu_hours: Annotated[float, Field(ge=0, le=1e6)] = 0.17


class Phase(Frozen):
    """A phase of the plan: its title, the phases that come before it, and the seeds that its recipes train with."""

    title: str
    after: tuple[str, ...] = ()
    seeds: Seeds | None = None
