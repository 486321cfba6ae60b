"""Does successive halving choose the rate that the full grid chooses, and with how many steps?

    python -m benchmarks.tuning.halving [--source twitter-topic] [--steps 160] [--short 0.4] [--seeds 10]

The tiny Qwen2 on a miniature of the packaged study, six rates, each a third of the next. For each seed the full grid
trains every rate in full and compares them on validation rows (`tune: {short: 1}`); halving begins with short ones.
Both are carried out by `regimen.run`. Prints one JSON document: the choices, the loss that halving's choice has in the
full grid over the least there, and steps.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import regimen
from regimen.plan import Plan, compile_plan
from regimen.plan.cohorts import form_cohorts
from regimen.results import RunFolder
from regimen.results.tuning import TuningRow, tuning_rows
from regimen.study import Study, load_study

WIDTH = 8
RATES = "[x/27, x/9, x/3, x, 3x, 9x]"
STUDY = """
study: halving
base: {{id: regimen/tiny-qwen2, origin: packaged, precision: fp32}}
data: miniature
batch: {{sequences: 8, block: 64}}
schedule: {{learning_rate: {{pretrain: 5.0e-3, finetune: 3.0e-3}}, warmup_steps: 3}}
evaluation: {{items: 8, context: 256, generate: 4}}
sources:
  {source}: {described}
tasks:
  {source}: {task}
experiments:
  - {{phase: none, title: "{{task}}", baseline: every-task}}
"""
GROUP = """  - {{phase: {way}, title: {way}, seed: {seed}, steps: {steps}, finetune: {{{way}-{seed}: {source}}},
     tune: {{learning_rate: {rates}, {settings}}}}}
"""


def study_of(folder: Path, source: str, steps: int, short: float, seeds: int) -> Study:
    """A grid and a halving for each seed."""
    packaged = load_study("qwen2-finance", "demo")
    written = packaged.sources[source].model_dump(mode="json", exclude_defaults=True) | {"validation": {"share": 0.25}}
    task = next(task for task in packaged.tasks.values() if list(task.source) == [source])
    text = STUDY.format(
        source=source,
        described=json.dumps(written),
        task=json.dumps(task.model_dump(mode="json", exclude_defaults=True)),
    )
    ways = {"grid": "short: 1", "halving": f"short: {short}, budget: halving"}
    for seed in range(1, seeds + 1):
        for way, settings in ways.items():
            text += GROUP.format(way=way, seed=seed, steps=steps, source=source, rates=RATES, settings=settings)
    path = folder / "study.yaml"
    path.write_text(text)
    return load_study(path)


def choices_only(plan: Plan) -> Plan:
    """The plan without what comes after the choices."""
    wanted = {name for planned in plan.experiments if planned.tuning for name in planned.tuning.stages}
    left = list(wanted)
    while left:
        more = set(plan.stages[left.pop()].inputs) - wanted
        wanted |= more
        left += more
    stages = {name: stage for name, stage in plan.stages.items() if name in wanted}
    cohorts = form_cohorts(stages, WIDTH)
    tuned = tuple(
        replace(planned, trainings=(), ends=(), evaluations={}, further_evaluations=())
        for planned in plan.experiments
        if planned.tuning
    )
    return replace(plan, stages=stages, cohorts=cohorts, experiments=tuned, reference={}, base_references={})


def compared(rows: list[TuningRow], seeds: int) -> list[dict[str, object]]:
    """For each seed both choices, and what halving's choice costs in loss."""
    found = []
    for seed in range(1, seeds + 1):
        grid = {row.learning_rate: row.value for row in rows if row.experiment == f"grid-{seed}"}
        best = next(r.learning_rate for r in rows if r.experiment == f"grid-{seed}" and r.fate == "chosen")
        ours = next(r.learning_rate for r in rows if r.experiment == f"halving-{seed}" and r.fate == "chosen")
        least, other = grid[best], grid[ours]
        excess = None if least is None or other is None else round(other - least, 4)
        losses = [None if value is None else round(value, 4) for _, value in sorted(grid.items())]
        found.append({"seed": seed, "grid": best, "halving": ours, "excess_loss": excess, "grid_losses": losses})
    return found


def main() -> None:
    """Runs both and compares."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", default="twitter-topic")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--short", type=float, default=0.4)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        study = study_of(Path(name), options.source, options.steps, options.short, options.seeds)
        plan = compile_plan(study, cohort_width=WIDTH)
        alone = choices_only(plan)
        began = time.perf_counter()
        summary = regimen.run(alone, out=Path(name) / "run", workers=options.workers)
        seconds = time.perf_counter() - began
        assert not summary.failures, summary.failures
        rows = tuning_rows(plan, RunFolder(Path(name) / "run").read(alone).outcomes)
    per_seed = compared(rows, options.seeds)
    planned = {p.experiment.id: p for p in plan.experiments}
    grid, halving = planned["grid-1"], planned["halving-1"]
    assert grid.tuning is not None
    assert halving.tuning is not None
    whole = grid.steps * len(grid.tuning.rates)
    document = {
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python -m benchmarks.tuning.halving", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}",
        "versions": {package: version(package) for package in ("torch", "transformers")},
        "rates": [round(rate, 6) for rate in grid.tuning.rates],
        "steps_of_the_grid": whole,
        "steps_of_halving": {"choice": halving.tuning.steps, "with_the_winner": halving.steps + halving.tuning_steps},
        "share": {
            "choice": round(halving.tuning.steps / whole, 3),
            "with_the_winner": round((halving.steps + halving.tuning_steps) / whole, 3),
        },
        "same_choice": sum(one["grid"] == one["halving"] for one in per_seed),
        "of": options.seeds,
        "seconds": round(seconds, 1),
        "seeds": per_seed,
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
