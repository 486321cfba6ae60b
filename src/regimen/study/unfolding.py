"""Groups of a study file -> experiments, one by one.

Owns how a ladder, a chain, a group of baselines unfold, and the titles and ids that come of it. Does not know YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from regimen.study.axes import Parts
from regimen.study.crossed import Cell, CrossedStrategy
from regimen.study.file import (
    BaselineGroup,
    ChainGroup,
    Common,
    CrossedGroup,
    ExperimentFile,
    LegFile,
    RunFile,
    RunGroup,
    Scale,
)
from regimen.study.schema import Batch, Experiment, Leg, LegKind, Schedule
from regimen.study.tasks import Task

P = TypeVar("P", Batch, Schedule)


def short_steps(steps: int) -> str:
    """10000 as "10k", 2500 as "2500"."""
    return f"{steps // 1000}k" if steps % 1000 == 0 else str(steps)


def mixture_text(mixture: dict[str, float], *, always_weights: bool = True) -> str:
    """{"a": 70, "b": 30} as "a:70 b:30"; a lone source without its weight where `always_weights` is false."""
    if len(mixture) == 1 and not always_weights:
        return next(iter(mixture))
    return " ".join(f"{source}:{weight:g}" for source, weight in mixture.items())


def unfold(
    group: BaselineGroup | RunGroup | ChainGroup | CrossedGroup | ExperimentFile,
    tasks: dict[str, Task],
    rule: Scale,
    parts: Parts,
) -> list[Experiment]:
    """The recipes of one group, one run of each, steps scaled by `rule`; raises ValueError for a faulty group."""
    if isinstance(group, BaselineGroup):
        return _unfold_baselines(group, tasks, parts)
    if isinstance(group, RunGroup):
        return _unfold_runs(group, rule, parts)
    if isinstance(group, ChainGroup):
        return _unfold_chain(group, rule, parts)
    if isinstance(group, CrossedGroup):
        return _unfold_crossed(group, rule, parts)
    return [
        Experiment(
            id=group.id,
            title=group.title,
            task=group.task,
            start_from=group.start_from,
            given=group.given,
            replicate_of=group.replicate_of,
            varied=group.varied,
            cell=group.cell,
            legs=tuple(_leg(leg, rule) for leg in group.legs),
            **_shared(group, parts),
        )
    ]


def _shared(group: Common, parts: Parts) -> dict[str, Any]:
    return {
        "phase": group.phase,
        "adapter": group.adapter,
        "learning_rate": group.learning_rate,
        "tune": group.tune,
        "base": None if group.base == parts.base else group.base,
        "batch": _changed(parts.batch, group.batch),
        "schedule": _changed(parts.schedule, group.schedule),
        "rows": group.rows,
        "seed": group.seed,
        "validation": group.validation,
    }


def _changed(own: P, change: Mapping[str, object] | None) -> P | None:
    """The study's own settings with some values changed; None where that changes nothing."""
    new = type(own).model_validate({**dict(own), **(change or {})})
    return None if new == own else new


def _unfold_baselines(group: BaselineGroup, tasks: dict[str, Task], parts: Parts) -> list[Experiment]:
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
            **_shared(group, parts),
        )
        for name in names
    ]


def _unfold_runs(group: RunGroup, rule: Scale, parts: Parts) -> list[Experiment]:
    if group.pretrain is not None and group.finetune is not None:
        raise ValueError("a group has `pretrain` or `finetune`, not both; write two groups")
    kind: LegKind = "pretrain" if group.pretrain is not None else "finetune"
    experiments = []
    for prefix, run in (group.pretrain or group.finetune or {}).items():
        steps, epochs = _length(prefix, run, group)
        title = _titled(
            group.title,
            mixture=mixture_text(run.mixture),
            sources=mixture_text(run.mixture, always_weights=False),
        )
        for count in steps if isinstance(steps, tuple) else (steps,):
            suffix = f"-{short_steps(count)}" if isinstance(steps, tuple) else ""
            leg = Leg(kind=kind, mixture=run.mixture, steps=rule.scaled(count) if count else 0, epochs=epochs)
            experiments.append(
                Experiment(id=prefix + suffix, title=title, legs=(leg,), given=group.given, **_shared(group, parts))
            )
    return experiments


def _length(prefix: str, run: RunFile, group: RunGroup) -> tuple[int | tuple[int, ...], float | None]:
    """(steps, epochs) of a mixture, its own before its group's; 0 steps where there are epochs, or an axis, instead."""
    for given in (run, group):
        if given.steps is not None and given.epochs is not None:
            raise ValueError(f"{prefix!r} has both `steps` and `epochs`; give one of them")
        if given.steps is not None or given.epochs is not None:
            return given.steps or 0, given.epochs
    if group.vary is not None and {"steps", "epochs"} & set(group.vary.axes):
        return 0, 1.0  # the axis decides
    raise ValueError(f"{prefix!r} has neither `steps` nor `epochs`, and its group has none either")


def _unfold_chain(group: ChainGroup, rule: Scale, parts: Parts) -> list[Experiment]:
    experiments: list[Experiment] = []
    for stage in group.stages:
        if not stage.legs and stage.steps is None and stage.epochs is None:
            raise ValueError(f"the stage {stage.id!r} has neither `steps`, `epochs` nor `legs`")
        short = LegFile(pretrain=stage.pretrain, finetune=stage.finetune, steps=stage.steps, epochs=stage.epochs)
        legs = stage.legs or (short,)
        experiments.append(
            Experiment(
                id=f"{group.chain}-{stage.id}",
                title=stage.title or _titled(group.title, stage=stage.id),
                legs=tuple(_leg(leg, rule) for leg in legs),
                start_from=experiments[-1].id if experiments else None,
                **_shared(group, parts),
            )
        )
    return experiments


def _unfold_crossed(group: CrossedGroup, rule: Scale, parts: Parts) -> list[Experiment]:
    """The cells of each set; what trains alone comes first, since the sequential ones begin with it."""
    experiments: list[Experiment] = []
    for name, sources in group.crossed.items():
        each, rest = divmod(group.steps, len(sources))
        if rest:
            raise ValueError(
                f"the set {name!r} has {len(sources)} sources, and {group.steps:,} steps are no multiple of that; "
                f"give {group.steps - rest:,} or {group.steps - rest + len(sources):,}"
            )
        legs = {one: Leg(kind=group.kind, mixture={one: 100.0}, steps=rule.scaled(each)) for one in sources}
        together = Leg(kind=group.kind, mixture=dict.fromkeys(sources, 1.0), steps=rule.scaled(each) * len(sources))
        ways: dict[CrossedStrategy, dict[str, tuple[Leg, ...]]] = {
            "separate": {f"-{one}": (leg,) for one, leg in legs.items()},
            "mixed": {"": (together,)},
            "sequential": {"": tuple(legs.values())},
            "sequential-reversed": {"": tuple(reversed(legs.values()))},
        }
        for strategy, models in ways.items():
            title = _titled(group.title, set=name, strategy=strategy)
            experiments += [
                Experiment(
                    id=f"{name}-{strategy}{ending}",
                    title=title,
                    legs=trained,
                    cell=Cell(set=name, strategy=strategy),
                    **_shared(group, parts),
                )
                for ending, trained in models.items()
            ]
    return experiments


def _leg(leg: LegFile, rule: Scale) -> Leg:
    forms = [("pretrain", leg.pretrain), ("finetune", leg.finetune), (leg.kind, leg.mixture)]
    given = [(kind, mixture) for kind, mixture in forms if mixture is not None]
    if len(given) != 1 or given[0][0] is None:
        raise ValueError("a leg needs exactly one of `pretrain`, `finetune`, or `kind` with `mixture`")
    if leg.steps is None and leg.epochs is None:
        raise ValueError("a leg needs `steps` or `epochs`")
    if leg.steps is not None and leg.epochs is not None and leg.kind is None:
        raise ValueError("a leg has `steps` or `epochs`, not both")
    steps = rule.scaled(leg.steps) if leg.steps else 0
    return Leg.model_validate({"kind": given[0][0], "mixture": given[0][1], "steps": steps, "epochs": leg.epochs})


def _titled(template: str, **values: str) -> str:
    def put(match: re.Match[str]) -> str:
        if match[1] not in values:
            known = ", ".join("{" + name + "}" for name in values)
            raise ValueError(f"the title {template!r} may only refer to {known}")
        return values[match[1]]

    return re.sub(r"\{(\w*)\}", put, template)
