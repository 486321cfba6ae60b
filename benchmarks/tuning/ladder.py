"""A ladder of 3 rates x 3 seeds x 4 row counts on the tiny Qwen2, against the same 36 runs one after another in TRL.

    python -m benchmarks.tuning.ladder [--steps 60] [--every 1] [--workers 1]

Wall and processor seconds of the trainings, on a miniature of the packaged study. Preparation and evaluation are left
out on both sides; starting regimen's worker is in ours, building each trainer in theirs. TRL gets each run's own rows,
packed, at the same shape of step (8 x 64 tokens). `--every 4` times every fourth run of TRL's and scales by steps.
Beside them: the same ladder with the rate chosen by `tune` (one full training for each size and seed), and all the
trainings of the demo, whose steps ours must not be slower than.
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
from importlib.metadata import version
from pathlib import Path

import regimen
from benchmarks.training.demo import clocks, only, theirs
from benchmarks.tuning.halving import STUDY, WIDTH
from regimen.plan import Plan, compile_plan
from regimen.study import Study, load_study

SOURCE = "twitter-topic"
COMMON = "phase: ladder, title: ladder, steps: {steps}, finetune: {{{name}: {source}}}"
GRID = "vary: {learning_rate: [1.0e-3, 3.0e-3, 9.0e-3], rows: [30, 100, 300, all], seed: [17, 18, 19]}"
TUNED = "vary: {rows: [30, 100, 300, all], seed: [17, 18, 19]}, tune: {learning_rate: [x/3, x, 3x], short: 0.2}"


def study_of(folder: Path, name: str, settings: str, steps: int) -> Study:
    """The ladder as a study."""
    packaged = load_study("qwen2-finance", "demo")
    written = packaged.sources[SOURCE].model_dump(mode="json", exclude_defaults=True) | {"validation": {"share": 0.25}}
    task = next(task for task in packaged.tasks.values() if list(task.source) == [SOURCE])
    described = json.dumps(task.model_dump(mode="json", exclude_defaults=True))
    text = STUDY.format(source=SOURCE, described=json.dumps(written), task=described)
    text += f"  - {{{COMMON.format(steps=steps, name=name, source=SOURCE)}, {settings}}}\n"
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return load_study(path)


def trainings_of(plan: Plan, out: Path, workers: int) -> dict[str, float]:
    """Seconds of all trainings and choices, wall and processor, and steps."""
    kinds = ("prepare", "items")
    regimen.run(only(plan, kinds), out=out, workers=workers)
    trained = only(plan, (*kinds, "train", "choose"))
    began = clocks()
    summary = regimen.run(trained, out=out, workers=workers)
    ended = clocks()
    assert not summary.failures, summary.failures
    assert set(summary.stages) == {"done"}, summary.stages
    return {
        "wall": round(ended[0] - began[0], 1),
        "processor": round(ended[1] - began[1], 1),
        "steps": plan.steps_to_run,
        "steps_per_second": round(plan.steps_to_run / (ended[0] - began[0]), 1),
        "steps_per_processor_second": round(plan.steps_to_run / (ended[1] - began[1]), 1),
    }


def main() -> None:
    """Times all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        plans = {
            "ladder": compile_plan(study_of(home, "ladder", GRID, options.steps), cohort_width=WIDTH),
            "ladder with tune": compile_plan(study_of(home, "tuned", TUNED, options.steps), cohort_width=WIDTH),
            "demo": compile_plan(load_study("qwen2-finance", "demo"), cohort_width=WIDTH),
        }
        for who, plan in plans.items():
            found[who] = trainings_of(plan, home / who.replace(" ", "-"), options.workers)
            sys.stderr.write(f"{who}: {found[who]}\n")
        seconds, processor, steps, total = theirs(plans["ladder"], home / "ladder", options.every)
    trl = {"wall": round(seconds * total / steps, 1), "processor": round(processor * total / steps, 1), "steps": total}
    document = {
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["python -m benchmarks.tuning.ladder", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, "
        f"{os.environ.get('OMP_NUM_THREADS', 'all')} threads",
        "versions": {package: version(package) for package in ("torch", "transformers", "trl", "peft")},
        "ours": found,
        "trl": {**trl, "timed_steps": steps, "timed_seconds": round(seconds, 1)},
        "ratio": {clock: round(trl[clock] / found["ladder"][clock], 2) for clock in ("wall", "processor")},
        "ratio_with_tune": {
            clock: round(trl[clock] / found["ladder with tune"][clock], 2) for clock in ("wall", "processor")
        },
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
