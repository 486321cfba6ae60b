"""All trainings of the demo (the tiny Qwen2) by `regimen run`, against the same trainings one after another in TRL.

    python -m benchmarks.training.demo [--every 1] [--workers 2]

Wall time. Preparation and evaluation are left out on both sides; starting regimen's workers is in ours, building each
trainer in theirs, starting Python in neither. TRL gets each leg's own rows, packed, at the demo's shape of step (8 x 64
tokens). `--every 4` times every fourth training of TRL's and scales by steps.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.training import peers
from regimen import api
from regimen.data.blocks import BlockStore
from regimen.engine.locate import locate_base
from regimen.files import cache_home
from regimen.plan import Plan, TrainSpec, compile_plan
from regimen.results import PreparedFacts, RunFolder
from regimen.stages.blocks import blocks_folder
from regimen.study import load_study


def only(plan: Plan, kinds: tuple[str, ...]) -> Plan:
    """The plan with stages of these kinds alone."""
    stages = {name: stage for name, stage in plan.stages.items() if stage.kind in kinds}
    cohorts = tuple(cohort for cohort in plan.cohorts if cohort.kind in kinds)
    experiments = tuple(replace(p, evaluations={}, further_evaluations=()) for p in plan.experiments if p.trainings)
    return replace(plan, stages=stages, cohorts=cohorts, experiments=experiments if "train" in kinds else ())


def clocks() -> tuple[float, float]:
    """Wall time; processor time of this process and of those it has waited for."""
    spent = os.times()
    return time.perf_counter(), spent.user + spent.system + spent.children_user + spent.children_system


def ours(plan: Plan, out: Path, workers: int) -> tuple[float, float]:
    """Seconds of all trainings, of wall and of processor."""
    api.run(only(plan, ("prepare", "items")), out=out, workers=workers)
    began = clocks()
    summary = api.run(only(plan, ("prepare", "items", "train")), out=out, workers=workers)
    ended = clocks()
    assert not summary.failures, summary.failures
    return round(ended[0] - began[0], 1), round(ended[1] - began[1], 1)


def rows_of(plan: Plan, out: Path, spec: TrainSpec, tokens: int) -> list[dict[str, list[int]]]:
    """Whole segments of the leg's sources, in the mixture's proportions, at least `tokens` of them."""
    folder, rows = RunFolder(out), []
    total = sum(spec.leg.mixture.values())
    for name, weight in spec.leg.mixture.items():
        outcome = folder.outcome(plan.stages[spec.leg.sources[name]])
        assert outcome is not None
        assert isinstance(outcome.facts, PreparedFacts)
        store = BlockStore(blocks_folder(outcome.facts, cache_home()))
        need, index = tokens * weight / total, 0
        while need > 0:
            block = store.block(index % len(store))
            starts = [i for i in range(block.length) if block.positions[i] == 0]
            for start, end in zip(starts, [*starts[1:], block.length], strict=True):
                ids, loss = block.tokens[start:end], block.loss[start:end]
                labels = [int(t) if kept else -100 for t, kept in zip(ids, loss, strict=True)]
                rows.append({"input_ids": ids.tolist(), "labels": labels})
            need -= block.length
            index += 1
    return rows


def theirs(plan: Plan, out: Path, every: int) -> tuple[float, float, int, int]:
    """Seconds (wall, processor) and steps of every `every`-th training, and the steps of all."""
    base = locate_base(plan.study.base)
    setting = peers.Setting(
        packing=True, load=torch.float32, batch=plan.study.batch.sequences, length=plan.study.batch.block
    )
    legs = [(p, end, leg.steps) for p in plan.experiments for end, leg in zip(p.ends, p.experiment.legs, strict=True)]
    seconds, processor, steps = 0.0, 0.0, 0
    for _, end, count in legs[::every]:
        spec = plan.stages[end]
        assert isinstance(spec, TrainSpec)
        rows = rows_of(plan, out, spec, 2 * count * setting.batch * setting.length)
        began = clocks()
        peers.train(base, rows, setting, count, warm=1)
        ended = clocks()
        seconds += ended[0] - began[0]
        processor += ended[1] - began[1]
        steps += count
        sys.stderr.write(f"{spec.label}: {count} steps, {seconds:.1f} s so far\n")
    return seconds, processor, steps, sum(count for _, _, count in legs)


def main() -> None:
    """Times both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--parts", action="store_true", help="also without sharing, and without lockstep")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    study = load_study("qwen2-finance", "demo")
    plans = {"ours": compile_plan(study)}
    if options.parts:
        plans["ours without sharing"] = compile_plan(study, sharing=False)
        plans["ours without lockstep"] = compile_plan(study, cohort_width=1)
    found: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for who, plan in plans.items():
            found[who] = ours(plan, Path(name) / who.replace(" ", "-"), options.workers)
            sys.stderr.write(f"{who}: {found[who]} s (wall, processor)\n")
        seconds, processor, steps, total = theirs(plans["ours"], Path(name) / "ours", options.every)
    trl = (round(seconds * total / steps, 1), round(processor * total / steps, 1))
    document = {
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python -m benchmarks.training.demo", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {package: version(package) for package in ("torch", "transformers", "trl", "peft")},
        "seconds_wall_and_processor": {**found, "TRL": trl},
        "trl_timed": {"seconds": round(seconds, 1), "steps": steps, "of": total},
        "steps_planned": sum(p.steps for p in plans["ours"].experiments),
        "steps_to_run": plans["ours"].steps_to_run,
        "ratio_wall": round(trl[0] / found["ours"][0], 2),
        "ratio_processor": round(trl[1] / found["ours"][1], 2),
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
