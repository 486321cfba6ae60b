"""Groups the stages that are carried out together.

Owns the grouping, fixed at compile time so that a resumed run groups alike: stages of one kind, one shape and one
depth in the graph, the longest together, at most `width` of them. Does not know devices.
"""

from __future__ import annotations

from collections.abc import Mapping

from regimen.plan.fingerprint import fingerprint
from regimen.plan.plan import Cohort, Stage
from regimen.plan.stages import EvaluateSpec, TrainSpec


def form_cohorts(stages: Mapping[str, Stage], width: int) -> tuple[Cohort, ...]:
    """Groups train and evaluate stages; a prepare or items stage is a cohort of one."""
    depth = depths(stages)
    groups: dict[tuple[str, int, str], list[Stage]] = {}
    for stage in stages.values():
        shape = stage.shape if isinstance(stage, TrainSpec | EvaluateSpec) else stage.fingerprint
        groups.setdefault((stage.kind, depth[stage.fingerprint], shape), []).append(stage)
    cohorts = []
    for (kind, _, _), members in groups.items():
        members.sort(key=lambda stage: -stage.steps if isinstance(stage, TrainSpec) else 0)
        for start in range(0, len(members), width):
            chosen = tuple(stage.fingerprint for stage in members[start : start + width])
            cohorts.append(Cohort(fingerprint(["cohort", *chosen]), kind, chosen))
    return tuple(cohorts)


def depths(stages: Mapping[str, Stage]) -> dict[str, int]:
    """The number of stages on the longest way to each; `stages` lists inputs before what needs them."""
    depth: dict[str, int] = {}
    for name, stage in stages.items():
        depth[name] = 1 + max((depth[given] for given in stage.inputs if given in depth), default=-1)
    return depth
