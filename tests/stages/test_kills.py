"""Twenty SIGKILLs at random moments of one training: the same losses and adapters, bit for bit."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from regimen.plan import Plan, TrainSpec, compile_plan
from regimen.study import load_study
from regimen.study.schema import Experiment, Leg
from tests.support.inline_runs import assert_done, run_inline
from tests.support.studies import with_experiments

KILLS = 20
# each child is a real process, forked from one that has imported what it needs and has no other thread
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["regimen.stages.kinds", "tests.support.inline_runs", __name__])


def plan_of_three() -> Plan:
    """A cohort of three unequal trainings, two of which share a trunk."""
    experiments = tuple(
        Experiment(id=name, phase="3A", title=name, legs=(Leg(kind="finetune", mixture={source: 100.0}, steps=steps),))
        for name, source, steps in (("short", "glue-sst2", 24), ("long", "glue-sst2", 60), ("other", "imdb", 45))
    )
    study = load_study("qwen2-finance", "demo")
    return compile_plan(with_experiments(study, *experiments), tasks=["sst2"], eval_items=8)


def carry_out(plan: Plan, out: Path, steps: Connection) -> None:
    """The child: tells of every optimiser step, saves after each."""

    def told() -> bool:
        steps.send_bytes(b".")
        return False

    assert_done(run_inline(plan, out, stopping=told, checkpoint_seconds=0))


def start(plan: Plan, out: Path) -> tuple[BaseProcess, Connection]:
    heard, told = SERVER.Pipe(duplex=False)
    child = SERVER.Process(target=carry_out, args=(plan, out, told), daemon=True)
    child.start()
    told.close()
    return child, heard


def steps_until(heard: Connection, count: int) -> bool:
    """Waits for `count` steps; false if the child ended before."""
    try:
        for _ in range(count):
            heard.recv_bytes()
    except EOFError:
        return False
    return True


def trained(plan: Plan, out: Path) -> dict[str, tuple[bytes, list[tuple[float, ...]]]]:
    """Every train stage's adapter bytes, and loss, rate and gradient norm of every step."""
    found = {}
    for stage in plan.stages.values():
        if isinstance(stage, TrainSpec):
            folder = out / "stages" / stage.folder
            lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
            assert [line["step"] for line in lines] == list(range(stage.first_step, stage.last_step))
            values = [(line["loss"], line["lr"], line["grad_norm"], line["tokens"]) for line in lines]
            found[stage.label] = ((folder / "adapter_model.safetensors").read_bytes(), values)
    return found


@pytest.mark.slow
def test_twenty_kills_leave_no_trace(tmp_path: Path) -> None:
    plan = plan_of_three()
    calm, heard = start(plan, tmp_path / "calm")
    steps_until(heard, 1_000_000)
    calm.join(60)
    assert calm.exitcode == 0
    chance = random.Random(11)
    out = tmp_path / "killed"
    killed = 0
    while killed < KILLS:
        child, heard = start(plan, out)
        assert steps_until(heard, chance.randint(1, 5)), "all is done before the last kill; make the training longer"
        time.sleep(chance.uniform(0, 0.08))  # into a step, a checkpoint, a commit
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join(10)
        assert child.exitcode == -signal.SIGKILL
        heard.close()
        killed += 1
    last, heard = start(plan, out)
    steps_until(heard, 1_000_000)
    last.join(60)
    assert last.exitcode == 0
    assert trained(plan, out) == trained(plan, tmp_path / "calm")
    assert not list((out / "stages").glob("train-*/.*.tmp"))
