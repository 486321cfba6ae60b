"""Hours: when each experiment would run on N GPUs, in the plan's order.

Owns the Gantt of the plan. Hours are GPU-hours by the plan's rate or by a measured one. Does not know what really
ran when (the ledger does).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from regimen.plan.plan import Bar, PlannedExperiment
from regimen.study import Study


def schedule_bars(study: Study, planned: Sequence[PlannedExperiment], gpus: int) -> tuple[Bar, ...]:
    """List-schedules experiments on `gpus` devices.

    An experiment starts when every experiment of the phases before its own has ended, the one it continues has, and
    the next shorter one on the same trunk has; then in the study's order.
    """
    by_id = {p.experiment.id: p for p in planned}
    waits = {name: set(_before(study, p, by_id)) for name, p in by_id.items()}
    order = {name: index for index, name in enumerate(by_id)}
    followers: dict[str, list[str]] = {name: [] for name in by_id}
    for name, before in waits.items():
        for other in before:
            followers[other].append(name)
    ready = [order[name] for name, before in waits.items() if not before]
    heapq.heapify(ready)
    names = list(by_id)
    free = [0.0] * gpus
    running: list[tuple[float, int]] = []
    bars: list[Bar] = []
    now = 0.0
    while ready or running:
        while ready and free[0] <= now:
            heapq.heappop(free)
            index = heapq.heappop(ready)
            p = by_id[names[index]]
            end = now + p.gpu_hours
            bars.append(Bar(p.experiment.id, p.experiment.phase, round(now, 6), round(end, 6)))
            heapq.heappush(running, (end, index))
            heapq.heappush(free, end)
        now, index = heapq.heappop(running)
        for follower in followers[names[index]]:
            waits[follower].discard(names[index])
            if not waits[follower]:
                heapq.heappush(ready, order[follower])
    return tuple(bars)


def _before(study: Study, p: PlannedExperiment, by_id: dict[str, PlannedExperiment]) -> list[str]:
    experiment = p.experiment
    earlier = set(study.phases[experiment.phase].after)
    before = [name for name, other in by_id.items() if other.experiment.phase in earlier]
    if experiment.start_from in by_id:
        before.append(experiment.start_from)
    shorter = [
        other
        for other in by_id.values()
        if other.experiment.phase == experiment.phase
        and other.steps < p.steps
        and len(experiment.legs) == len(other.experiment.legs) == 1
        and other.experiment.start_from == experiment.start_from
        and _same_trunk(other, p)
    ]
    if shorter:
        before.append(max(shorter, key=lambda other: other.steps).experiment.id)
    return before


def _same_trunk(one: PlannedExperiment, other: PlannedExperiment) -> bool:
    a, b = one.experiment, other.experiment
    return (
        a.legs[0].kind == b.legs[0].kind
        and a.legs[0].mixture == b.legs[0].mixture
        and (a.adapter, a.seed, a.learning_rate) == (b.adapter, b.seed, b.learning_rate)
    )
