"""The scheduler: order, once only, failures block only what needs them, a second run does nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from regimen.execution.runner import experiment_state
from regimen.execution.scheduler import MAX_DEATHS, Scheduler
from regimen.plan import Plan, compile_plan
from regimen.results import read_ledger
from regimen.study import load_study
from tests.support.fake_pool import FakePool, run
from tests.support.patience import within


@pytest.fixture(scope="module")
def plan() -> Plan:
    only = ["1-sst2", "3a-sst2", "3a-imdb", "3c-1-*", "3c-6-glue"]
    return compile_plan(load_study("qwen2-finance", "demo"), only=only, tasks=["sst2", "imdb"], cohort_width=3)


def states(plan: Plan, scheduler: Scheduler) -> dict[str, str]:
    return {p.experiment.id: experiment_state(p, scheduler.states) for p in plan.experiments}


def test_everything_runs_once_in_order_and_a_second_run_does_nothing(plan: Plan, tmp_path: Path) -> None:
    scheduler, pool = run(plan, tmp_path)
    assert set(scheduler.states.values()) == {"done"}
    labels = [label for job in pool.jobs for label in job]
    assert sorted(labels) == sorted(stage.label for stage in plan.stages.values())
    assert pool.most_at_once == 2
    again, idle = run(plan, tmp_path)
    assert idle.jobs == []
    assert set(again.states.values()) == {"done"}


def test_the_longest_way_goes_first(plan: Plan, tmp_path: Path) -> None:
    _, pool = run(plan, tmp_path)
    trained = [job for job in pool.jobs if "trunk" in job[0] or "cooldown" in job[0]]
    first_evaluation = next(i for i, job in enumerate(pool.jobs) if job[0].startswith("1-sst2"))
    first_training = pool.jobs.index(trained[0])
    assert first_training < first_evaluation, "a baseline can wait, a chain cannot"


def test_a_dead_worker_s_job_is_tried_again(plan: Plan, tmp_path: Path) -> None:
    dying = ("imdb-finetune", "3c-1-imdb-cooldown", "1-sst2")
    scheduler, pool = run(plan, tmp_path, lambda label, attempt: "die" if attempt == 1 and label in dying else "done")
    assert set(scheduler.states.values()) == {"done"}
    assert {pool.attempts[label] for label in dying} == {2}


def test_a_job_that_always_dies_fails_after_a_few_times(plan: Plan, tmp_path: Path) -> None:
    scheduler, pool = run(plan, tmp_path, lambda label, attempt: "die" if label == "glue-mrpc-finetune" else "done")
    assert pool.attempts["glue-mrpc-finetune"] == MAX_DEATHS
    assert states(plan, scheduler) == {
        "1-sst2": "done",
        "3a-sst2": "done",
        "3a-imdb": "done",
        "3c-1-imdb": "done",
        "3c-1-financial-sentiment": "done",
        "3c-1-twitter-sentiment": "done",
        "3c-6-glue": "failed",
    }
    ledger = read_ledger(tmp_path)
    blocked = [row["label"] for row in ledger.values() if row["state"] == "blocked"]
    assert blocked
    assert all(label.startswith("3c-6-glue") for label in blocked)
    fixed, more = run(plan, tmp_path)
    assert set(fixed.states.values()) == {"done"}
    assert all(label == "glue-mrpc-finetune" or label.startswith("3c-6-glue") for job in more.jobs for label in job)


def test_an_error_of_the_user_s_is_not_retried(plan: Plan, tmp_path: Path) -> None:
    _, pool = run(plan, tmp_path, lambda label, attempt: "error" if label == "imdb-finetune" else "done")
    assert pool.attempts["imdb-finetune"] == 1


def test_one_failed_member_leaves_its_cohort_alone(plan: Plan, tmp_path: Path) -> None:
    scheduler, pool = run(plan, tmp_path, lambda label, attempt: "fail" if label == "3c-1-imdb-cooldown" else "done")
    found = states(plan, scheduler)
    assert found["3c-1-imdb"] == found["3c-1-financial-sentiment"] == found["3c-1-twitter-sentiment"] == "failed"
    assert found["3a-imdb"] == found["3a-sst2"] == found["3c-6-glue"] == "done"
    assert pool.attempts["3c-1-imdb-cooldown"] == 1


def test_refused_stages_block_only_what_needs_them(plan: Plan, tmp_path: Path) -> None:
    refused = {name: "no such file" for name, s in plan.stages.items() if s.label == "twitter-sentiment-finetune"}
    scheduler, pool = run(plan, tmp_path, refused=refused)
    found = states(plan, scheduler)
    assert [name for name, state in found.items() if state == "failed"] == ["3c-1-twitter-sentiment"]
    assert "twitter-sentiment-finetune" not in pool.attempts


def test_asked_to_stop_it_submits_nothing_more(plan: Plan, tmp_path: Path) -> None:
    calls = iter([False] * 5 + [True] * 100)
    scheduler, pool = run(plan, tmp_path, stopping=lambda: next(calls))
    assert pool.interrupted
    assert 0 < len(pool.jobs) < len(plan.cohorts)
    assert "pending" in scheduler.states.values()
    assert "running" not in scheduler.states.values()
    done, _ = run(plan, tmp_path)
    assert set(done.states.values()) == {"done"}


def test_the_ledger_can_be_deleted_or_broken(plan: Plan, tmp_path: Path) -> None:
    run(plan, tmp_path)
    for damage in (lambda p: p.unlink(), lambda p: p.write_bytes(b"not a database, " * 300)):
        damage(tmp_path / "ledger.sqlite")
        _, pool = run(plan, tmp_path)
        assert pool.jobs == []
        rows = read_ledger(tmp_path)
        assert {row["state"] for row in rows.values()} == {"done"}
        assert set(rows) == set(plan.stages)


def test_fast_then_full_trains_only_what_is_missing(tmp_path: Path) -> None:
    """The way to a decision: the fast track, then everything; what the fast track did is not done again."""
    study = load_study("qwen2-finance", "full")
    fast, full = (compile_plan(study, track=track, tasks=["sst2"]) for track in ("fast", "full"))
    first, _ = run(fast, tmp_path)
    assert set(first.states.values()) == {"done"}
    second, pool = run(full, tmp_path)
    assert set(second.states.values()) == {"done"}
    ran = sum(len(job) for job in pool.jobs)
    assert set(fast.stages) <= set(full.stages)
    assert ran == len(full.stages) - len(fast.stages), "each stage of the fast track is reused"
    assert fast.totals["gpu_hours_planned"] == pytest.approx(81.7)
    assert full.totals["gpu_hours_planned"] == pytest.approx(341.7)


def test_a_job_that_does_not_end_when_asked_is_left_to_the_next_call(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regimen.execution.scheduler.STOP_SECONDS", 0.05)
    polled = iter([False])
    monkeypatch.setattr(FakePool, "wait", lambda pool, seconds: time.sleep(0.02) or [])  # all busy, nobody listens
    with within(5):
        scheduler, pool = run(plan, tmp_path, stopping=lambda: next(polled, True))
    assert pool.interrupted
    assert set(scheduler.states.values()) == {"pending"}
    assert {row["state"] for row in read_ledger(tmp_path).values()} == {"pending"}
