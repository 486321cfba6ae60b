"""The short form of a study: what a person writes, and how it unfolds into a `Study`.

Owns the shorthands - a mixture as "a:70 b:30", a ladder of steps as a list, a chain as a list of stages, contrasts
over many experiments at once - and the cross-checks between parts. An unfolded study, dumped, is itself a valid
study file. Does not know YAML or files.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag

from regimen.study.questions import ContrastGroup, Gate, Question
from regimen.study.schema import (
    Adapter,
    Base,
    Batch,
    Cost,
    Evaluation,
    Experiment,
    Frozen,
    Leg,
    LegKind,
    Name,
    Phase,
    Schedule,
    Source,
    Task,
    Weight,
)

Steps = Annotated[int, Field(ge=1)]
Prefix = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)]


def parse_mixture(value: Any) -> Any:
    """ "a:70 b:30" or "a" as {"a": 70.0, "b": 30.0} or {"a": 100.0}; mappings pass through."""
    if not isinstance(value, str):
        return value
    mixture: dict[str, float] = {}
    for part in value.split():
        source, colon, weight = part.partition(":")
        if source in mixture:
            raise ValueError(f"source {source!r} stands twice in the mixture {value!r}")
        try:
            mixture[source] = float(weight) if colon else 100.0
        except ValueError:
            raise ValueError(f"the weight {weight!r} of {source!r} is not a number") from None
        if not (math.isfinite(mixture[source]) and mixture[source] > 0):
            raise ValueError(f"the weight {weight} of {source!r} must be positive")
    return mixture


Mixture = Annotated[dict[Name, Weight], BeforeValidator(parse_mixture), Field(min_length=1)]


class RunFile(Frozen):
    """One mixture with its own ladder of steps."""

    mixture: Mixture
    steps: Steps | tuple[Steps, ...] | None = None


def _as_run(value: Any) -> Any:
    return value if isinstance(value, dict) and "mixture" in value else {"mixture": value}


Runs = dict[Prefix, Annotated[RunFile, BeforeValidator(_as_run)]]


class Common(Frozen):
    """What every group of experiments has."""

    phase: str
    title: str
    adapter: Adapter | None = None
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None


class BaselineGroup(Common):
    """A zero-shot baseline for each main task, or for those named; ids are "{prefix}-{task}"."""

    baseline: Literal["every-task"] | tuple[Name, ...]
    prefix: Prefix = "1"


class RunGroup(Common):
    """Experiments that start from the base: {id: mixture}; `steps` as a list makes a ladder of each."""

    pretrain: Runs | None = None
    finetune: Runs | None = None
    steps: Steps | tuple[Steps, ...] | None = None


class ChainStage(Frozen):
    """One experiment of a chain: a leg in short form, or several `legs`."""

    id: Name
    title: str | None = None
    pretrain: Mixture | None = None
    finetune: Mixture | None = None
    steps: Steps | None = None
    legs: tuple[LegFile, ...] = ()


class LegFile(Frozen):
    """A leg in full ({kind, mixture, steps}) or in short form ({finetune: mixture, steps})."""

    kind: LegKind | None = None
    mixture: Mixture | None = None
    pretrain: Mixture | None = None
    finetune: Mixture | None = None
    steps: Steps


class ChainGroup(Common):
    """A list of stages, each continuing from the one before it; ids are "{chain}-{stage id}"."""

    chain: Prefix
    stages: tuple[ChainStage, ...] = Field(min_length=1)


class ExperimentFile(Common):
    """One experiment in full."""

    id: Name
    task: Name | None = None
    legs: tuple[LegFile, ...] = ()
    start_from: Name | None = None


def _group_kind(value: Any) -> str:
    keys = value.keys() if isinstance(value, dict) else ()
    for key, tag in (("baseline", "baseline"), ("chain", "chain"), ("pretrain", "runs"), ("finetune", "runs")):
        if key in keys:
            return tag
    return "single"


Group = Annotated[
    Annotated[BaselineGroup, Tag("baseline")]
    | Annotated[RunGroup, Tag("runs")]
    | Annotated[ChainGroup, Tag("chain")]
    | Annotated[ExperimentFile, Tag("single")],
    Discriminator(_group_kind),
]
GROUP_TAGS = frozenset({"baseline", "runs", "chain", "single"})


class StepsRule(Frozen):
    """Scales every planned step count: steps / divide, at least `at_least`."""

    divide: Annotated[int, Field(ge=1)] = 1
    at_least: Annotated[int, Field(ge=1)] = 1

    def scaled(self, steps: int) -> int:
        """The step count under this rule, rounded to the nearest whole step."""
        return steps if self.divide == 1 else max(self.at_least, round(steps / self.divide))


class ProfileFile(Frozen):
    """What a profile changes: whole parts, or single values of `batch`, `schedule`, `evaluation`, `adapter`."""

    base: dict[str, Any] | None = None
    adapter: dict[str, Any] | None = None
    batch: dict[str, Any] | None = None
    schedule: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    cost: dict[str, Any] | None = None
    data: Literal["hub", "miniature"] | None = None
    steps: StepsRule = StepsRule()


class StudyFile(Frozen):
    """A study as written."""

    study: Name
    title: str = ""
    profile: str = "full"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 17
    data: Literal["hub", "miniature"] = "hub"
    base: Base
    adapter: Adapter = Adapter()
    batch: Batch = Batch()
    schedule: Schedule
    evaluation: Evaluation = Evaluation()
    cost: Cost = Cost()
    phases: dict[str, Phase] = Field(default_factory=dict)
    sources: dict[Name, Source] = Field(min_length=1)
    tasks: dict[Name, Task] = Field(min_length=1)
    experiments: tuple[Group, ...] = Field(min_length=1)
    tracks: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    questions: dict[str, Question[ContrastGroup]] = Field(default_factory=dict)
    gate: Gate | None = None
    profiles: dict[str, ProfileFile] = Field(default_factory=dict)


def short_steps(steps: int) -> str:
    """10000 as "10k", 2500 as "2500"."""
    return f"{steps // 1000}k" if steps % 1000 == 0 else str(steps)


def mixture_text(mixture: dict[str, float], *, always_weights: bool = True) -> str:
    """{"a": 70, "b": 30} as "a:70 b:30"; a lone source without its weight where `always_weights` is false."""
    if len(mixture) == 1 and not always_weights:
        return next(iter(mixture))
    return " ".join(f"{source}:{weight:g}" for source, weight in mixture.items())


def unfold(group: Group, tasks: dict[str, Task], rule: StepsRule) -> list[Experiment]:
    """The experiments of one group, steps scaled by `rule`; raises ValueError for a faulty group."""
    if isinstance(group, BaselineGroup):
        return _unfold_baselines(group, tasks)
    if isinstance(group, RunGroup):
        return _unfold_runs(group, rule)
    if isinstance(group, ChainGroup):
        return _unfold_chain(group, rule)
    return [
        Experiment(
            id=group.id,
            title=group.title,
            task=group.task,
            start_from=group.start_from,
            legs=tuple(_leg(leg, rule) for leg in group.legs),
            **_shared(group),
        )
    ]


def _shared(group: Common) -> dict[str, Any]:
    return {
        "phase": group.phase,
        "adapter": group.adapter,
        "learning_rate": group.learning_rate,
        "seed": group.seed,
    }


def _unfold_baselines(group: BaselineGroup, tasks: dict[str, Task]) -> list[Experiment]:
    names = [name for name, task in tasks.items() if task.panel == "main"]
    if group.baseline != "every-task":
        unknown = [name for name in group.baseline if name not in names]
        if unknown:
            raise ValueError(f"no main task {unknown[0]!r}; the main tasks are {', '.join(names)}")
        names = list(group.baseline)
    return [
        Experiment(
            id=f"{group.prefix}-{name}",
            title=_titled(group.title, task=tasks[name].title),
            task=name,
            **_shared(group),
        )
        for name in names
    ]


def _unfold_runs(group: RunGroup, rule: StepsRule) -> list[Experiment]:
    if group.pretrain is not None and group.finetune is not None:
        raise ValueError("a group has `pretrain` or `finetune`, not both; write two groups")
    kind: LegKind = "pretrain" if group.pretrain is not None else "finetune"
    experiments = []
    for prefix, run in (group.pretrain or group.finetune or {}).items():
        steps = run.steps if run.steps is not None else group.steps
        if steps is None:
            raise ValueError(f"{prefix!r} has no `steps`, and its group has none either")
        title = _titled(
            group.title,
            mixture=mixture_text(run.mixture),
            sources=mixture_text(run.mixture, always_weights=False),
        )
        for count in steps if isinstance(steps, tuple) else (steps,):
            suffix = f"-{short_steps(count)}" if isinstance(steps, tuple) else ""
            leg = Leg(kind=kind, mixture=run.mixture, steps=rule.scaled(count))
            experiments.append(Experiment(id=prefix + suffix, title=title, legs=(leg,), **_shared(group)))
    return experiments


def _unfold_chain(group: ChainGroup, rule: StepsRule) -> list[Experiment]:
    experiments: list[Experiment] = []
    for stage in group.stages:
        legs = stage.legs or (LegFile(pretrain=stage.pretrain, finetune=stage.finetune, steps=_stage_steps(stage)),)
        experiments.append(
            Experiment(
                id=f"{group.chain}-{stage.id}",
                title=stage.title or _titled(group.title, stage=stage.id),
                legs=tuple(_leg(leg, rule) for leg in legs),
                start_from=experiments[-1].id if experiments else None,
                **_shared(group),
            )
        )
    return experiments


def _stage_steps(stage: ChainStage) -> int:
    if stage.steps is None:
        raise ValueError(f"the stage {stage.id!r} has neither `steps` nor `legs`")
    return stage.steps


def _leg(leg: LegFile, rule: StepsRule) -> Leg:
    forms = [("pretrain", leg.pretrain), ("finetune", leg.finetune), (leg.kind, leg.mixture)]
    given = [(kind, mixture) for kind, mixture in forms if mixture is not None]
    if len(given) != 1 or given[0][0] is None:
        raise ValueError("a leg needs exactly one of `pretrain`, `finetune`, or `kind` with `mixture`")
    return Leg.model_validate({"kind": given[0][0], "mixture": given[0][1], "steps": rule.scaled(leg.steps)})


def _titled(template: str, **values: str) -> str:
    def put(match: re.Match[str]) -> str:
        if match[1] not in values:
            known = ", ".join("{" + name + "}" for name in values)
            raise ValueError(f"the title {template!r} may only refer to {known}")
        return values[match[1]]

    return re.sub(r"\{(\w*)\}", put, template)


ChainStage.model_rebuild()
