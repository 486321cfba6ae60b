"""Groups the stages that are carried out together.

Owns the grouping, fixed at compile time so that a resumed run groups alike: stages of one kind, one shape and one
depth in the graph, the longest together, at most `width` of them; and the length of the way that is left after a
stage, by which the scheduler orders work. Does not know devices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from regimen.plan.fingerprint import fingerprint
from regimen.plan.plan import Cohort, Stage
from regimen.plan.stages import EvaluateSpec, TrainSpec

OTHER_STEPS = 10.0  # a stage that does not train counts as so many steps in the order of work


@dataclass(frozen=True)
class StageGroup:
    """Stages of one kind, shape and depth, any of which may go together; `paths` are the steps left from each on."""

    kind: str
    stages: tuple[Stage, ...]
    paths: tuple[float, ...]


def form_cohorts(stages: Mapping[str, Stage], width: int, limit: int | None = None) -> tuple[Cohort, ...]:
    """Groups train and evaluate stages; a prepare or items stage is a cohort of one.

    With a `limit` (in steps) a cohort is the narrower, the longer the way that is left after its first member: the
    largest power of 2 that, times that way, stays within the limit; at least 1 and at most `width`.
    """
    return cohorts_of(group_stages(stages), width, limit)


def cohorts_of(groups: Sequence[StageGroup], width: int, limit: int | None = None) -> tuple[Cohort, ...]:
    """As `form_cohorts`, of stages that are grouped already."""
    cohorts: list[Cohort] = []
    for group in groups:
        order = sorted(range(len(group.stages)), key=lambda i: _rank(group, i, limit))
        start = 0
        while start < len(order):
            count = width if limit is None else _widest(limit, group.paths[order[start]], width)
            chosen = tuple(group.stages[i].fingerprint for i in order[start : start + count])
            cohorts.append(Cohort(fingerprint(["cohort", *chosen]), group.kind, chosen))
            start += count
    return tuple(cohorts)


def _rank(group: StageGroup, index: int, limit: int | None) -> float:
    stage = group.stages[index]
    if limit is not None:
        return -group.paths[index]
    return -stage.steps if isinstance(stage, TrainSpec) else 0


def _widest(limit: int, path: float, width: int) -> int:
    count = 1
    while count * 2 <= width and count * 2 * path <= limit:
        count *= 2
    return width if width * path <= limit else count


def group_stages(stages: Mapping[str, Stage]) -> list[StageGroup]:
    """The stages by kind, depth and shape, in the plan's order."""
    depth, paths = depths(stages), critical_paths(stages)
    groups: dict[tuple[str, int, str], list[Stage]] = {}
    for stage in stages.values():
        shape = stage.shape if isinstance(stage, TrainSpec | EvaluateSpec) else stage.fingerprint
        groups.setdefault((stage.kind, depth[stage.fingerprint], shape), []).append(stage)
    return [
        StageGroup(kind, tuple(members), tuple(paths[stage.fingerprint] for stage in members))
        for (kind, _, _), members in groups.items()
    ]


def depths(stages: Mapping[str, Stage]) -> dict[str, int]:
    """The number of stages on the longest way to each; `stages` lists inputs before what needs them."""
    depth: dict[str, int] = {}
    for name, stage in stages.items():
        depth[name] = 1 + max((depth[given] for given in stage.inputs if given in depth), default=-1)
    return depth


def critical_paths(stages: Mapping[str, Stage]) -> dict[str, float]:
    """The steps on the longest way from each stage's start to the plan's end; others than training count 10 steps."""
    followers: dict[str, list[str]] = {}
    for name, stage in stages.items():
        for given in stage.inputs:
            followers.setdefault(given, []).append(name)
    length: dict[str, float] = {}
    for name in reversed(list(stages)):  # inputs come before the stages that need them
        stage = stages[name]
        own = stage.steps if isinstance(stage, TrainSpec) else OTHER_STEPS
        length[name] = own + max((length[follower] for follower in followers.get(name, ())), default=0.0)
    return length
