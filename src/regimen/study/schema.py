"""The parts of a study: frozen, validated values. They never name the machine that runs it.

Owns the shapes of a study's parts, its sources apart (`study.sources`), and the checks that one value can make of
itself. Does not know files, YAML, the short forms a person writes (`study.file`), plans, or rows. Every field here is
a literal and so part of what a result is fingerprinted by, unless it says otherwise.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from regimen.study.endpoints import EndPoint
from regimen.study.extraction import check_pattern
from regimen.study.margins import Margin
from regimen.study.metrics import HARNESS, OWN, VERDICTS, Scoring, fault_of
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
    Template,
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

    `targets` is "all-linear" (every linear projection of every layer) or the names of projections.
    """

    method: Literal["lora", "full"] = "lora"
    rank: Annotated[int, Field(ge=1, le=1024)] = 4
    alpha: Annotated[float, Field(gt=0, le=1e6)] = 8.0
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"


class Batch(Frozen):
    """One optimiser step takes `sequences` blocks of `block` tokens; packing puts whole examples together."""

    sequences: Annotated[int, Field(ge=1, le=4096)] = 8
    block: Annotated[int, Field(ge=16, le=131072)] = 512
    packing: bool = True


class LearningRate(Frozen):
    """Peak learning rates by what is done; `full` is a factor on them when all weights train."""

    pretrain: Annotated[float, Field(gt=0, lt=1)]
    finetune: Annotated[float, Field(gt=0, lt=1)]


class Schedule(Frozen):
    """Linear warm-up, constant, 1-sqrt cooldown (Hägele et al. 2024, arXiv 2405.18392); AdamW; clipping.

    The constant part ends at floor((1 - cooldown) * steps). `chain` says what a leg does with the adapter of the
    leg before: train it on, or merge it into the base and start a new one.
    """

    learning_rate: LearningRate
    warmup_steps: Annotated[int, Field(ge=0, le=10**9)] = 100
    cooldown: Annotated[float, Field(gt=0, le=1)] = 0.1
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    betas: tuple[Share, Share] = (0.9, 0.999)
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    chain: Literal["continue", "merge_then_new"] = "continue"


class Generation(Frozen):
    """Greedy decoding: at most `tokens` new tokens, ended early by any of `stop` or the end-of-text token.

    Of programs (scoring: execution) the default is no stop at all.
    """

    tokens: Annotated[int, Field(ge=1, le=4096)]
    stop: tuple[str, ...] = ("\n",)


class CodeFile(Frozen):
    """A Python file beside the study, module.py, that holds metrics of the user's own."""

    module: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
    text: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in hex."""
        return sha256(self.text.encode("utf-8", errors="surrogatepass")).hexdigest()


class VerdictFile(Frozen):
    """The verdicts of NAME.jsonl beside the study: a line for each, the digest of item and answer and the score."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
    text: Annotated[str, Field(pattern=r"^([0-9a-f]{16} -?[0-9.einfa+-]+\n)*$")]

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in hex."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def scores(self) -> dict[str, float]:
        """Digest of item and answer -> score."""
        return {key: float(score) for key, score in (line.split() for line in self.text.splitlines())}


class Task(Frozen):
    """One evaluation: the held-out rows of `source`, a way of scoring, metrics (the first is the headline).

    `panel`: "main" tasks are what experiments are compared on; "own" tasks are reported only for experiments that
    trained on their source; "text" tasks measure bits per byte of held-out text. `resample` names the group that
    the bootstrap draws whole: a template over the row, or "near-duplicates" (default: the item). `lm_eval` names a
    task of lm-evaluation-harness instead: rows, prompts and metrics (written `acc`, kept as "lm-eval:acc") are its own.
    `positive` is the class that `f1` is of (default: the second of the label's names). `extract` is a regular
    expression whose first group (or whole match) is read out of a generated answer, and out of the right one where
    it matches there. `margin` is the difference in the headline metric that would matter (default: the study's); it
    decides no fingerprint. `code` holds the files of the metrics written `module:function`; it is filled in when the
    study is loaded, as `verdicts` is with the files of those written `verdicts:name`.
    """

    title: str
    group: Name
    panel: Literal["main", "own", "text"] = "main"
    source: tuple[Name, ...] = ()
    lm_eval: str | None = None
    scoring: Scoring
    metrics: Annotated[tuple[str, ...], Field(min_length=1)]
    resample: Template | None = None
    generation: Generation | None = None
    positive: str | None = None
    extract: str | None = None
    code: tuple[CodeFile, ...] = ()
    verdicts: tuple[VerdictFile, ...] = ()
    items: Count | None = None
    truncate: Literal["left", "middle"] = "left"
    margin: Margin | None = None
    version: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        """Of a harness's task only its name and metrics need be said; a program has more lines than one."""
        if isinstance(values, dict) and values.get("scoring") == "execution":
            generation = values.get("generation")
            if isinstance(generation, dict) and "stop" not in generation:
                return {**values, "generation": {**generation, "stop": ()}}
        if not isinstance(values, dict) or not values.get("lm_eval"):
            return values
        metrics = values.get("metrics") or ["acc"]
        named = [f"{HARNESS}{str(name).removeprefix(HARNESS)}" for name in metrics]
        return {"scoring": "lm-eval", **values, "metrics": named}

    @model_validator(mode="after")
    def _check(self) -> Task:
        needs, bars = self.scoring in ("generation", "execution"), self.scoring == "text"
        if (needs and self.generation is None) or (bars and self.generation is not None):
            raise ValueError(f"scoring by {self.scoring} and `generation` settings do not go together")
        if (self.lm_eval is not None) != (self.scoring == "lm-eval"):
            raise ValueError("`lm_eval` and `scoring: lm-eval` go together")
        if self.lm_eval is not None:
            if self.source or self.generation or self.panel != "main":
                raise ValueError("a task of lm-evaluation-harness has no `source`, `generation` or `panel` of its own")
        elif not self.source:
            raise ValueError("a task needs a `source`, or `lm_eval`")
        elif self.panel != "text" and len(self.source) != 1:
            raise ValueError("only a text task may have several sources")
        if fault := fault_of(self.metrics, self.scoring, self.generation is not None):
            raise ValueError(fault)
        own = [match for name in self.metrics if (match := OWN.fullmatch(name))]
        if {file.name for file in self.verdicts} != {one["function"] for one in own if one["module"] == VERDICTS}:
            raise ValueError("`verdicts` is filled in from the metrics; leave it out, and load the study from its file")
        named = {match["module"] for match in own} - {VERDICTS}
        if lacking := sorted(named - {file.module for file in self.code}):
            raise ValueError(f"the code of {lacking[0]}.py is not in the study; load the study from its file")
        if {file.module for file in self.code} - named:
            raise ValueError("`code` is filled in from the metrics; leave it out")
        if self.scoring == "execution" and self.generation is not None and "\n" in self.generation.stop:
            raise ValueError("the stop '\\n' ends a program after its first line; name others, or leave `stop` out")
        if self.positive is not None and "f1" not in self.metrics:
            raise ValueError("`positive` chooses the class of the metric f1, but `metrics` has no f1")
        if self.extract is not None:
            if self.scoring != "generation":
                raise ValueError("`extract` reads generated answers, so it goes with scoring: generation")
            check_pattern(self.extract)
        return self

    @property
    def headline(self) -> str:
        """The metric that the task is compared by."""
        return self.metrics[0]

    @property
    def code_identity(self) -> dict[str, dict[str, str]]:
        """{"code": {module: digest}, "verdicts": {name: digest}}; a task without has neither key."""
        code = {"code": {file.module: file.digest for file in self.code}} if self.code else {}
        return code | ({"verdicts": {file.name: file.digest for file in self.verdicts}} if self.verdicts else {})


class Evaluation(Frozen):
    """The extent of evaluation: `items` a task (None: all), prompts cut to `context` tokens, shots for baselines.

    `generate` caps the new tokens of every task.
    """

    items: Count | None = None
    generate: Count | None = None
    context: Annotated[int, Field(ge=32, le=10**7)] = 2048
    baseline_shots: tuple[Annotated[int, Field(ge=0, le=64)], ...] = (0,)


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


OVERRIDES = ("base", "adapter", "batch", "schedule", "learning_rate", "rows", "seed")


class Experiment(Frozen):
    """A row of the plan. A baseline has a `task` and no legs; `start_from` is another experiment's end.

    `base`, `adapter`, `batch`, `schedule`, `learning_rate` and `seed` override the study's; None takes the study's.
    `rows` trains on so many rows of each source (None: all). `replicate_of` names the first run of the same recipe,
    from which this one differs in the seed alone; `varied` holds the values of the axes along which its group varies.
    """

    id: ExperimentId
    phase: str
    title: str
    task: Name | None = None
    legs: tuple[Leg, ...] = ()
    start_from: ExperimentId | None = None
    base: Base | None = None
    adapter: Adapter | None = None
    batch: Batch | None = None
    schedule: Schedule | None = None
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    rows: Count | None = None
    seed: Seed | None = None
    replicate_of: ExperimentId | None = None
    varied: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @property
    def recipe(self) -> str:
        """The id of its recipe, which is the id of the recipe's first run."""
        return self.replicate_of or self.id

    @property
    def kind(self) -> Literal["baseline", "pretrain", "finetune"]:
        """The kind of the last leg, or "baseline"."""
        return self.legs[-1].kind if self.legs else "baseline"

    @property
    def steps(self) -> int:
        """Optimiser steps of its own legs together, those of `start_from` not counted."""
        return sum(leg.steps for leg in self.legs)

    @property
    def single_leg(self) -> Leg | None:
        """The leg of an experiment that trains the base in one leg; None for baselines and chains."""
        return self.legs[0] if len(self.legs) == 1 and self.start_from is None else None

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
