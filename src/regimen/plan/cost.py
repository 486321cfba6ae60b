"""Hours: when each experiment would run on N GPUs, in the plan's order.

Owns the Gantt of the plan. Hours are GPU-hours by the plan's rate or by a measured one. Does not know what really
ran when (the ledger does).
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

from regimen.plan.plan import Bar, PlannedExperiment
from regimen.study import Study
from regimen.study.schema import OVERRIDES


def schedule_bars(study: Study, planned: Sequence[PlannedExperiment], gpus: int) -> tuple[Bar, ...]:
    """List-schedules experiments on `gpus` devices.

    An experiment starts when every experiment of the phases before its own has ended, the one it continues has, and
    the next shorter one on the same trunk has; then in the study's order.
    """
    waits = _waits(study, planned)
    order = {p.experiment.id: index for index, p in enumerate(planned)}
    members = Counter(p.experiment.phase for p in planned)
    followers: dict[str, list[str]] = {}
    for name, before in waits.items():
        for token in before:
            followers.setdefault(token, []).append(name)
    ready = [order[name] for name, before in waits.items() if not before]
    heapq.heapify(ready)
    free = [0.0] * gpus
    running: list[tuple[float, int]] = []
    bars: list[Bar] = []
    now = 0.0
    while ready or running:
        while ready and free[0] <= now:
            heapq.heappop(free)
            index = heapq.heappop(ready)
            p = planned[index]
            end = now + p.gpu_hours
            bars.append(Bar(p.experiment.id, p.experiment.phase, round(now, 6), round(end, 6)))
            heapq.heappush(running, (end, index))
            heapq.heappush(free, end)
        now, index = heapq.heappop(running)
        ended = planned[index].experiment
        members[ended.phase] -= 1
        tokens = [ended.id] if members[ended.phase] else [ended.id, _whole(ended.phase)]
        for follower in dict.fromkeys(name for token in tokens for name in followers.pop(token, ())):
            waits[follower].difference_update(tokens)
            if not waits[follower]:
                heapq.heappush(ready, order[follower])
    return tuple(bars)


def _whole(phase: str) -> str:
    """The token of a phase's end; no experiment's id has a blank in it."""
    return f"phase {phase}"


def _waits(study: Study, planned: Sequence[PlannedExperiment]) -> dict[str, set[str]]:
    """The experiments (by id) and whole phases (by token) that each experiment waits for. Linear in their number."""
    ids = {p.experiment.id for p in planned}
    present = {p.experiment.phase for p in planned}
    trunks: dict[tuple[Any, ...], list[tuple[int, str]]] = {}
    for p in planned:
        if len(p.experiment.legs) == 1 and study.schedule_of(p.experiment).has_trunk:
            trunks.setdefault(_trunk(p), []).append((p.steps, p.experiment.id))
    for lengths in trunks.values():
        lengths.sort()
    waits: dict[str, set[str]] = {}
    for p in planned:
        experiment = p.experiment
        before = {_whole(phase) for phase in study.phases[experiment.phase].after if phase in present}
        if experiment.start_from in ids:
            before.add(str(experiment.start_from))
        if len(experiment.legs) == 1 and study.schedule_of(experiment).has_trunk:
            lengths = trunks[_trunk(p)]
            shorter = bisect_left(lengths, (p.steps, ""))
            if shorter:
                before.add(lengths[shorter - 1][1])
        waits[experiment.id] = before
    return waits


def _trunk(p: PlannedExperiment) -> tuple[Any, ...]:
    """A key that is equal for experiments that could share a trunk."""
    experiment = p.experiment
    leg = experiment.legs[0]
    mixture = tuple(sorted(leg.mixture.items()))
    own = tuple(getattr(experiment, name) for name in OVERRIDES)
    return (experiment.phase, experiment.start_from, leg.kind, mixture, *own)
