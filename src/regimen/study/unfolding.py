"""Groups of a study file -> experiments, one by one.

Owns how a ladder, a chain, a group of baselines unfold, and the titles and ids that come of it. Does not know YAML.
"""

from __future__ import annotations

import re
from typing import Any

from regimen.study.file import (
    BaselineGroup,
    ChainGroup,
    ChainStage,
    Common,
    ExperimentFile,
    LegFile,
    RunGroup,
    StepsRule,
)
from regimen.study.schema import Experiment, Leg, LegKind, Task


def short_steps(steps: int) -> str:
    """10000 as "10k", 2500 as "2500"."""
    return f"{steps // 1000}k" if steps % 1000 == 0 else str(steps)


def mixture_text(mixture: dict[str, float], *, always_weights: bool = True) -> str:
    """{"a": 70, "b": 30} as "a:70 b:30"; a lone source without its weight where `always_weights` is false."""
    if len(mixture) == 1 and not always_weights:
        return next(iter(mixture))
    return " ".join(f"{source}:{weight:g}" for source, weight in mixture.items())


def unfold(
    group: BaselineGroup | RunGroup | ChainGroup | ExperimentFile, tasks: dict[str, Task], rule: StepsRule
) -> list[Experiment]:
    """The recipes of one group, one run of each, steps scaled by `rule`; raises ValueError for a faulty group."""
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
            replicate_of=group.replicate_of,
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
