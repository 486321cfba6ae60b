"""The short form of a study: what a person writes (`study.unfolding` makes experiments of it).

Owns the shorthands - a mixture as "a:70 b:30", a ladder of steps as a list, a chain as a list of stages, contrasts
over many experiments at once - and the cross-checks between parts. An unfolded study, dumped, is itself a valid
study file. Does not know YAML or files.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StringConstraints, Tag

from regimen.study.axes import Vary
from regimen.study.crossed import Cell
from regimen.study.margins import Margins
from regimen.study.questions import ContrastGroup, Gate, Question
from regimen.study.schema import Adapter, Base, Batch, Cost, GivenAdapter, LegKind, OwnValidate, Phase, Schedule
from regimen.study.sources import Source
from regimen.study.tasks import Evaluation, Task
from regimen.study.tuning import Tune
from regimen.study.values import Count, ExperimentId, FileName, Frozen, Name, Passes, Seed, Seeds, Weight

Steps = Count
Prefix = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]


def parse_mixture(value: Any) -> Any:
    """ "a:70 b:30" or "a" as {"a": 70.0, "b": 30.0} or {"a": 100.0}; mappings pass through."""
    if not isinstance(value, str):
        return value
    mixture: dict[str, float] = {}
    for part in value.split():
        source, colon, weight = part.partition(":")
        if source in mixture:
            raise ValueError(f"source {source!r} appears twice in the mixture {value!r}")
        try:
            mixture[source] = float(weight) if colon else 100.0
        except ValueError:
            raise ValueError(f"the weight {weight!r} of {source!r} is not a number") from None
        if not (math.isfinite(mixture[source]) and mixture[source] > 0):
            raise ValueError(f"the weight {weight} of {source!r} must be positive")
    return mixture


_Weights = dict[Name, Weight]
Mixture = Annotated[
    _Weights, BeforeValidator(parse_mixture, json_schema_input_type=str | _Weights), Field(min_length=1)
]


class RunFile(Frozen):
    """One mixture with its own ladder of steps."""

    mixture: Mixture
    steps: Steps | tuple[Steps, ...] | None = None
    epochs: Passes | None = None


def _as_run(value: Any) -> Any:
    return value if isinstance(value, dict) and "mixture" in value else {"mixture": value}


Runs = dict[Prefix, Annotated[RunFile, BeforeValidator(_as_run, json_schema_input_type=str | RunFile | _Weights)]]


class Common(Frozen):
    """The keys of every group of experiments."""

    phase: str
    title: str
    adapter: Adapter | None = None
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    tune: Tune | None = None
    base: Base | None = None
    batch: dict[str, object] | None = None
    schedule: dict[str, object] | None = None
    rows: Count | None = None
    seed: Seed | None = None
    seeds: Seeds | None = None
    vary: Vary | None = None
    validation: OwnValidate = None


class BaselineGroup(Common):
    """A zero-shot baseline for each main task, or for those named; ids are "{prefix}-{task}"."""

    baseline: Literal["every-task"] | tuple[Name, ...]
    prefix: Prefix = "1"


class AdapterStart(Frozen):
    """An adapter to start from, as it is written; `study.given_adapters` makes a `GivenAdapter` of it."""

    adapter: FileName
    revision: FileName = "main"
    base: FileName | None = None


def _taken_out(value: Any) -> Any:
    if value is not None:
        raise ValueError(
            f"of mixtures `start_from` is {{adapter: FOLDER-OR-HUB-ID}}, not {value!r}; a chain, or an experiment with "
            "an `id` and `legs`, goes on from another experiment"
        )
    return value


OfAnAdapter = Annotated[None, BeforeValidator(_taken_out, json_schema_input_type=AdapterStart | None)]
OfAnything = Annotated[
    ExperimentId | None,
    BeforeValidator(lambda value: value, json_schema_input_type=ExperimentId | AdapterStart | None),
]


class RunGroup(Common):
    """Experiments that start from the base: {id: mixture}; `steps` as a list makes a ladder of each.

    `start_from` is an adapter that they start from instead, which becomes `given` when the study is loaded.
    """

    pretrain: Runs | None = None
    finetune: Runs | None = None
    steps: Steps | tuple[Steps, ...] | None = None
    epochs: Passes | None = None
    start_from: OfAnAdapter = None
    given: GivenAdapter | None = None


class ChainStage(Frozen):
    """One experiment of a chain: a leg in short form, or several `legs`."""

    id: Name
    title: str | None = None
    pretrain: Mixture | None = None
    finetune: Mixture | None = None
    steps: Steps | None = None
    epochs: Passes | None = None
    legs: tuple[LegFile, ...] = ()


class LegFile(Frozen):
    """A leg in full ({kind, mixture, steps}) or in short form ({finetune: mixture, steps}).

    `epochs` stands in the place of `steps`; with both, the epochs have been counted.
    """

    kind: LegKind | None = None
    mixture: Mixture | None = None
    pretrain: Mixture | None = None
    finetune: Mixture | None = None
    steps: Annotated[int, Field(ge=0, le=10**9)] | None = None
    epochs: Passes | None = None


class ChainGroup(Common):
    """A list of stages, each continuing from the one before it; ids are "{chain}-{stage id}"."""

    chain: Prefix
    stages: tuple[ChainStage, ...] = Field(min_length=1)


def _sources_of_a_set(sources: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(sources)) < len(sources):
        raise ValueError(f"a source appears twice in the set {', '.join(sources)}")
    return sources


SourceSet = Annotated[tuple[Name, ...], Field(min_length=2, max_length=20), AfterValidator(_sources_of_a_set)]


class CrossedGroup(Common):
    """A crossed design: {set: sources}, each set trained on by every strategy (`study.crossed` says which these are).

    `steps` are those of a set, the same for every strategy and for each of its sources, so that their number must be a
    multiple of that of the sources. Ids are "{set}-mixed", "{set}-sequential", "{set}-sequential-reversed", and
    "{set}-separate-{source}".
    """

    crossed: Annotated[dict[Prefix, SourceSet], Field(min_length=1)]
    kind: LegKind = "finetune"
    steps: Steps


class ExperimentFile(Common):
    """One experiment in full; `start_from: {adapter: FOLDER-OR-HUB-ID, revision: main}` becomes `given`."""

    id: ExperimentId
    task: Name | None = None
    legs: tuple[LegFile, ...] = ()
    start_from: OfAnything = None
    given: GivenAdapter | None = None
    replicate_of: ExperimentId | None = None
    varied: dict[str, bool | int | float | str] = Field(default_factory=dict)
    cell: Cell | None = None


class ReplicateGroup(Frozen):
    """Further runs of recipes that stand before it (ids or patterns), in a phase of their own; ids "{recipe}~s{seed}".

    Seeds that a recipe has a run of already are left out.
    """

    phase: str
    replicates: Annotated[tuple[str, ...], Field(min_length=1)]
    seeds: Seeds


def _group_kind(value: Any) -> str:
    keys = value.keys() if isinstance(value, dict) else ()
    for key, tag in _GROUP_KEYS.items():
        if key in keys:
            return tag
    return "single"


_GROUP_KEYS = {
    "baseline": "baseline",
    "chain": "chain",
    "crossed": "crossed",
    "replicates": "replicates",
    "pretrain": "runs",
    "finetune": "runs",
}
Group = Annotated[
    Annotated[BaselineGroup, Tag("baseline")]
    | Annotated[RunGroup, Tag("runs")]
    | Annotated[ChainGroup, Tag("chain")]
    | Annotated[CrossedGroup, Tag("crossed")]
    | Annotated[ReplicateGroup, Tag("replicates")]
    | Annotated[ExperimentFile, Tag("single")],
    Discriminator(_group_kind),
]
GROUP_TAGS = frozenset({*_GROUP_KEYS.values(), "single"})


class Scale(Frozen):
    """Scales planned counts of steps, or of rows: count / divide, at least `at_least`."""

    divide: Count = 1
    at_least: Count = 1

    def scaled(self, count: int) -> int:
        """The count under this scale, rounded to the nearest whole number."""
        return count if self.divide == 1 else max(self.at_least, round(count / self.divide))


class ProfileFile(Frozen):
    """The changes of a profile: whole parts, or single values of `batch`, `schedule`, `evaluation`, `adapter`.

    `steps` and `rows` scale the counts that are planned; ids keep the planned ones.
    """

    base: dict[str, Any] | None = None
    adapter: dict[str, Any] | None = None
    batch: dict[str, Any] | None = None
    schedule: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    data: Literal["hub", "miniature"] | None = None
    steps: Scale = Scale()
    rows: Scale = Scale()


class StudyFile(Frozen):
    """A study as written. `seeds` are those of every recipe whose phase and group have none of their own."""

    study: Name
    title: str = ""
    profile: str = "full"
    seed: Seed = 17
    seeds: Seeds | None = None
    item_seed: Seed | None = None
    data: Literal["hub", "miniature"] = "hub"
    base: Base
    adapter: Adapter = Adapter()
    batch: Batch = Batch()
    schedule: Schedule
    validation: OwnValidate = None
    evaluation: Evaluation = Evaluation()
    cost: Cost = Cost()
    phases: dict[str, Phase] = Field(default_factory=dict)
    sources: dict[Name, Source] = Field(min_length=1)
    tasks: dict[Name, Task] = Field(min_length=1)
    experiments: tuple[Group, ...] = Field(min_length=1)
    tracks: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    questions: dict[str, Question[ContrastGroup]] = Field(default_factory=dict)
    gate: Gate | None = None
    margin: Margins = Field(default_factory=dict)
    test_rows: dict[Name, Count] = Field(default_factory=dict)
    profiles: dict[str, ProfileFile] = Field(default_factory=dict)


ChainStage.model_rebuild()
