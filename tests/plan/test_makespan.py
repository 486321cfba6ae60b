"""The simulated scheduler: cases by hand, the real scheduler as oracle, and the choice of cohorts."""

from __future__ import annotations

import heapq
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from regimen import compile_plan, load_study
from regimen.cli.app import app
from regimen.plan import Plan, TrainSpec
from regimen.plan.cohorts import cohorts_of, form_cohorts, group_stages
from regimen.plan.makespan import makespan_of, simulation_of
from regimen.plan.step_times import StepTimes
from regimen.results import Outcome, RunFolder
from regimen.results.facts import parse_facts
from regimen.stages.messages import Ended, Job, JobEnd, Message
from tests.support.fake_pool import Trial

LINEAR = StepTimes(((1, 1.0), (2, 2.0), (4, 4.0), (8, 8.0)), "by hand")
FREE = StepTimes(((1, 1.0), (2, 1.0), (4, 1.0), (8, 1.0)), "by hand")
HALF = StepTimes(((1, 1.0), (2, 1.5), (4, 2.5), (8, 4.5)), "by hand")


def ladder(**more: Any) -> Plan:
    """Experiments that share one trunk; steps of the demo: (8, 10, ...) by what the study says."""
    return compile_plan(load_study("qwen2-finance", "demo"), only=["2a-openwebtext-*"], tasks=["sst2"], **more)


PLAN = compile_plan(load_study("qwen2-finance"), track="fast")
LADDER = ladder()


def only_training(plan: Plan, times: StepTimes, workers: int, width: int, limit: int | None = None) -> float:
    """Hours of the plan's trainings alone."""
    simulation = simulation_of(plan)
    stages = {name: stage for name, stage in plan.stages.items() if isinstance(stage, TrainSpec)}
    alone = type(simulation)(stages, times, simulation.step_tokens)
    return alone.makespan(form_cohorts(stages, width, limit), workers)


def test_a_step_of_any_number_lies_between_the_known() -> None:
    assert [HALF.at(k) for k in (1, 2, 3, 4, 6, 8, 16)] == [1.0, 1.5, 2.0, 2.5, 3.5, 4.5, 9.0]
    assert StepTimes(((2, 3.0),), "").at(1) == 1.5
    estimated = StepTimes.estimated(100.0)
    assert [round(estimated.at(k) * 100, 2) for k in (1, 2, 4, 8)] == [1.0, 1.65, 2.95, 5.55]


def test_a_ladder_by_hand() -> None:
    """Horizons of 40, 100 and 200 steps, a tenth of each a cooldown: trunk 0-18-36, 36-90, 90-180
    (others of the study fork at 18), cooldowns 4, 10, 20."""
    plan = ladder()
    cooldowns = sorted(s.steps for s in plan.trainings() if s.part == "cooldown")
    trunks = [s.steps for s in plan.trainings() if s.part == "trunk"]
    assert (trunks, cooldowns) == ([18, 18, 54, 90], [4, 10, 20]), "the study has changed: compute anew by hand"
    # alone on two workers the trunk sets the pace: 36 + 54 + 90 + 20, the shorter cooldowns run beside it
    assert only_training(plan, LINEAR, 2, 1) == 200
    # one worker does it all, one after another: 180 + 34
    assert only_training(plan, LINEAR, 1, 1) == 214
    # no two stages have one depth but a piece of trunk and a cooldown: (54, 4), (90, 10), each a pair at width 2.
    # A pair of steps costs 1.5 until the shorter has left: 36 + (4*1.5 + 50) + (10*1.5 + 80) + 20
    assert only_training(plan, HALF, 1, 2) == 36 + 56 + 95 + 20
    assert only_training(plan, FREE, 1, 2) == 200
    # a limit of 200 leaves alone who has more than 100 steps left: the trunk of 36 + 54 + 90 + 20. Of the pair
    # (90, 10) the first has 110 left, so nobody goes together, and one worker needs 214 again
    assert only_training(plan, HALF, 1, 2, limit=200) == 214
    assert only_training(plan, HALF, 1, 2, limit=220) == 36 + 54 + 4 + 95 + 20


def test_the_longest_way_goes_first_by_hand() -> None:
    """Two fine-tunings of equal length and a trunk thrice as long, on two workers: the trunk must not wait."""
    plan = compile_plan(load_study("qwen2-finance", "demo"), only=["3a-*"], tasks=["sst2"])
    pieces = [s.steps for s in plan.trainings()]
    lower = max(sum(pieces) / 2, max(s.last_step for s in plan.trainings()))
    found = only_training(plan, LINEAR, 2, 1)
    assert lower <= found <= lower + max(pieces)


@pytest.mark.parametrize("profile", ["full", "demo"])
def test_eight_gpus_are_used_by_four_fifths_and_no_fixed_width_is_better(profile: str) -> None:
    study = load_study("qwen2-finance", profile)
    plan = compile_plan(study, gpus=8)
    found = makespan_of(plan)
    assert found.efficiency >= 0.8
    fixed = [makespan_of(compile_plan(study, gpus=8, cohort_width=width)).hours for width in (1, 2, 4, 8)]
    assert found.hours <= min(fixed) * 1.001
    if profile == "full":
        assert found.hours == pytest.approx(31.214238), "the golden makespan, by the plan's rate"
        assert fixed[3] > 3.5 * found.hours, "the longest together at width 8, as it was"


@given(st.integers(1, 12), st.sampled_from([LINEAR, FREE, HALF]), st.sampled_from([1, 2, 4, 8]))
def test_no_schedule_is_shorter_than_its_work_and_its_longest_way(workers: int, times: StepTimes, width: int) -> None:
    hours = only_training(LADDER, times, workers, width)
    assert hours >= 200
    assert hours <= 8 * 214


@given(st.integers(1, 400_000), st.sampled_from([1, 2, 4, 8]))
def test_cohorts_with_a_limit_hold_every_stage_once_and_keep_to_it(limit: int, width: int) -> None:
    groups = group_stages(PLAN.stages)
    cohorts = cohorts_of(groups, width, limit)
    assert sorted(name for cohort in cohorts for name in cohort.stages) == sorted(PLAN.stages)
    paths = {s.fingerprint: path for group in groups for s, path in zip(group.stages, group.paths, strict=True)}
    for cohort in cohorts:
        assert len(cohort.stages) <= width
        longest = max(paths[name] for name in cohort.stages)
        assert len(cohort.stages) == 1 or len(cohort.stages) * longest <= limit


class ClockedPool:
    """A pool on a clock of its own: jobs take what the simulation says, ends come in order of time."""

    def __init__(self, plan: Plan, workers: int):
        self.now = 0.0
        self._plan, self._workers, self._simulation = plan, workers, simulation_of(plan)
        self._events: list[tuple[float, int, Message]] = []
        self._busy = self._count = 0

    def free(self) -> int:
        return self._workers - self._busy

    def submit(self, job: Job) -> str:
        self._busy += 1
        cohort = next(c for c in self._plan.cohorts if c.id == job.id)
        hours, ends = self._simulation.ends(cohort)
        for after, name in ends:
            stage = self._plan.stages[name]
            facts = parse_facts(stage.kind, {"task": "any", "folder": "none"})
            outcome = Outcome(name, stage.kind, stage.label, "done", 0.0, 1.0, facts)
            self._push(self.now + after, Message(job.id, Ended(outcome)))
        self._push(self.now + hours, Message(job.id, JobEnd("done")))
        return "clocked"

    def _push(self, at: float, message: Message) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, message))

    def wait(self, seconds: float) -> list[Message]:
        self.now = self._events[0][0]
        found = []
        while self._events and self._events[0][0] <= self.now:
            found.append(heapq.heappop(self._events)[2])
        self._busy -= sum(isinstance(message.event, JobEnd) for message in found)
        return found

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class NoLedger:
    def __getattr__(self, name: str) -> Any:
        return lambda *given: None


class Unwritten(RunFolder):
    """Nothing is done, nothing is kept."""

    def trust(self, stage: Any, outcome: Any) -> None: ...


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_scheduler_itself_takes_as_long_as_the_simulation_says(workers: int, tmp_path: Path) -> None:
    plan = compile_plan(load_study("qwen2-finance"), track="fast", gpus=workers)
    folder = Unwritten(tmp_path)
    folder.create(plan.study, plan, {})
    pool = ClockedPool(plan, workers)
    ledger: Any = NoLedger()
    scheduler = Trial(plan, folder, pool, ledger, tmp_path, lambda: False, lambda event: None, {})
    scheduler._survey()
    scheduler._carry_out()
    assert set(scheduler.states.values()) == {"done"}
    assert pool.now == pytest.approx(makespan_of(plan).hours, rel=1e-9)


def test_the_choice_is_frozen_in_the_options() -> None:
    eight = compile_plan(load_study("qwen2-finance"), gpus=8)
    assert (eight.options.cohort_width, eight.options.cohort_limit) == (2, 50030)
    assert eight.options.to_json()["cohort_limit"] == 50030
    one = compile_plan(load_study("qwen2-finance"))
    assert (one.options.cohort_width, one.options.cohort_limit) == (8, None)
    assert eight.stages.keys() == one.stages.keys(), "what a stage is does not depend on where it runs"
    assert "cohort_limit" not in one.options.to_json()


def test_plan_shows_the_makespan() -> None:
    text = CliRunner().invoke(app, ["plan", "qwen2-finance", "--gpus", "8"]).stdout
    assert "as it is run on 8 GPUs: 31.2 hours, 2 adapters together at the most" in " ".join(text.split())
    totals = json.loads(CliRunner().invoke(app, ["plan", "qwen2-finance", "--gpus", "8", "--json"]).stdout)["totals"]
    assert totals["makespan_hours"] == pytest.approx(31.214238)
    assert totals["makespan_efficiency"] >= 0.8
