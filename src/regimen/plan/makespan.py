"""How long a plan takes on N workers, and how many adapters are best trained together there.

Owns the simulation of the scheduler on a clock of its own (the same cohorts, the
same order of work, members that leave as they end), and the choice among cohort widths. Does not measure, and does
not know what failed or is done already.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from regimen.plan.cohorts import OTHER_STEPS, StageGroup, cohorts_of, critical_paths, form_cohorts, group_stages
from regimen.plan.options import DEFAULT_WIDTH
from regimen.plan.plan import Cohort, Plan, Stage
from regimen.plan.stages import EvaluateSpec, ItemsSpec, TrainSpec
from regimen.plan.step_times import StepTimes

ITEM_TOKENS = 160  # an evaluated item takes as long as training on so many tokens: 0.5 h of evaluation beside 7.3 h
ITEMS = 1500  # items of a test set whose number the study does not say; those of the packaged study have so many
BETTER = 0.999  # another width is taken for a gain above a thousandth
MOST_STAGES = 20_000  # a plan of more keeps all workers busy at any width


@dataclass(frozen=True)
class Cohorts:
    """A choice of cohorts: at most `width` stages together, fewer where `limit` says so; the hours of the whole."""

    width: int
    limit: int | None
    hours: float


@dataclass(frozen=True)
class Simulation:
    """A plan's stages and what they cost: `times` for a step of `step_tokens` tokens an adapter."""

    stages: Mapping[str, Stage]
    times: StepTimes
    step_tokens: int

    def choose(self, workers: int) -> Cohorts:
        """The width, and the limit if one helps, by which the plan ends soonest on so many workers.

        Fixed widths are tried first, wide before narrow, since wide cohorts load the base fewer times; then cohorts
        that are narrow only where a long way is left. Another is taken only if it is faster.
        """
        groups = group_stages(self.stages)
        paths = critical_paths(self.stages)
        if len(self.stages) > MOST_STAGES:
            width = min(DEFAULT_WIDTH, self.times.widths[0])
            return self._try(groups, width, None, workers, paths)
        longest = max(paths.values(), default=0.0)
        limits = [None] if workers == 1 else [None, *(int(longest * factor) for factor in (1, 1.5, 2, 3, 4, 6))]
        tried = [self._try(groups, width, limit, workers, paths) for limit in limits for width in self.times.widths]
        best = tried[0]
        for other in tried[1:]:
            if other.hours < best.hours * BETTER:
                best = other
        return best

    def _try(
        self, groups: Sequence[StageGroup], width: int, limit: int | None, workers: int, paths: Mapping[str, float]
    ) -> Cohorts:
        return Cohorts(width, limit, self.makespan(cohorts_of(groups, width, limit), workers, paths))

    def makespan(self, cohorts: Sequence[Cohort], workers: int, paths: Mapping[str, float] | None = None) -> float:
        """Hours from the first start to the last end, as the scheduler orders these cohorts on so many workers."""
        return _Clock(self, cohorts, workers, paths or critical_paths(self.stages)).run()

    def ends(self, cohort: Cohort) -> tuple[float, list[tuple[float, str]]]:
        """Hours that a cohort takes, and after how many each of its stages is done, in order."""
        members = [self.stages[name] for name in cohort.stages]
        if cohort.kind == "train":
            return self._trained([stage for stage in members if isinstance(stage, TrainSpec)])
        steps = max(map(self._steps_of_other, members))
        hours = steps * self.times.at(len(members))
        return hours, [(hours, name) for name in cohort.stages]

    def _trained(self, members: Sequence[TrainSpec]) -> tuple[float, list[tuple[float, str]]]:
        """Members step together; who is at its end leaves, and the others go on faster."""
        batch = members[0].leg.batch
        share = batch.sequences * batch.block / self.step_tokens
        done, ended, hours = 0, [], 0.0
        order = sorted(members, key=lambda stage: stage.steps)
        for index, stage in enumerate(order):
            hours += (stage.steps - done) * share * self.times.at(len(order) - index)
            done = stage.steps
            ended.append((hours, stage.fingerprint))
        return hours, ended

    def _steps_of_other(self, stage: Stage) -> float:
        if not isinstance(stage, EvaluateSpec):
            return OTHER_STEPS
        items = self.stages[stage.items]
        cap = items.cap if isinstance(items, ItemsSpec) else None
        return (ITEMS if cap is None else cap) * ITEM_TOKENS / self.step_tokens


def simulation_of(plan: Plan) -> Simulation:
    """The simulation of a plan by its own step times; a step has the tokens of the study's batch."""
    batch = plan.study.batch
    return Simulation(plan.stages, plan.times, batch.sequences * batch.block)


@dataclass(frozen=True)
class Makespan:
    """The hours that a plan takes on its workers as it is run, and the share of the workers that it uses: the hours on
    one worker at its best, over workers times hours here."""

    hours: float
    workers: int
    efficiency: float
    source: str

    def to_json(self) -> dict[str, object]:
        """As `regimen plan --json` has it."""
        return {
            "makespan_hours": round(self.hours, 6),
            "makespan_workers": self.workers,
            "makespan_efficiency": round(self.efficiency, 4),
            "makespan_source": self.source,
        }


def makespan_of(plan: Plan) -> Makespan:
    """The makespan of a plan with the cohorts that it has."""
    simulation = simulation_of(plan)
    hours = simulation.makespan(plan.cohorts, plan.gpus)
    alone = simulation.choose(1).hours
    return Makespan(hours, plan.gpus, alone / (plan.gpus * hours) if hours else 1.0, plan.times.source)


def with_soonest_cohorts(plan: Plan) -> Plan:
    """The plan with the cohorts by which it ends soonest on its workers."""
    best = simulation_of(plan).choose(plan.gpus)
    options = replace(plan.options, cohort_width=best.width, cohort_limit=best.limit)
    if options == plan.options:
        return plan
    return replace(plan, options=options, cohorts=form_cohorts(plan.stages, best.width, best.limit))


class _Clock:
    """One simulated run: jobs wait for their inputs, then start by the length of the way that is left."""

    def __init__(self, simulation: Simulation, cohorts: Sequence[Cohort], workers: int, paths: Mapping[str, float]):
        self._simulation = simulation
        self._cohorts = cohorts
        self._free = workers
        self._priority = [-max(paths[name] for name in cohort.stages) for cohort in cohorts]
        stages = simulation.stages
        self._waits = [
            {given for name in cohort.stages for given in stages[name].inputs if given in stages} for cohort in cohorts
        ]
        self._needed_by: dict[str, list[int]] = {}
        for job, waits in enumerate(self._waits):
            for given in waits:
                self._needed_by.setdefault(given, []).append(job)
        self._ready: list[tuple[float, int, int]] = []
        self._events: list[tuple[float, int, str | None]] = []  # hour, order, the stage that is done or None: a job is
        self._counter = 0

    def run(self) -> float:
        """The hour at which the last job ends."""
        for job, waits in enumerate(self._waits):
            if not waits:
                self._enqueue(job)
        now = 0.0
        self._start(now)
        while self._events:
            now = self._events[0][0]
            while self._events and self._events[0][0] <= now:
                self._happen(heapq.heappop(self._events)[2])
            self._start(now)
        return now

    def _happen(self, done: str | None) -> None:
        if done is None:
            self._free += 1
            return
        for job in self._needed_by.get(done, ()):
            self._waits[job].discard(done)
            if not self._waits[job]:
                self._enqueue(job)

    def _enqueue(self, job: int) -> None:
        self._counter += 1
        heapq.heappush(self._ready, (self._priority[job], self._counter, job))

    def _start(self, now: float) -> None:
        while self._ready and self._free:
            self._free -= 1
            hours, ends = self._simulation.ends(self._cohorts[heapq.heappop(self._ready)[2]])
            for after, name in ends:
                self._schedule(now + after, name)
            self._schedule(now + hours, None)

    def _schedule(self, hour: float, done: str | None) -> None:
        self._counter += 1
        heapq.heappush(self._events, (hour, self._counter, done))
