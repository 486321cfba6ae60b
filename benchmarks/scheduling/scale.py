"""How compiling and scheduling grow with the number of experiments, without training: up to 100,000 of them.

    python benchmarks/scheduling/scale.py 1000 10000 100000 --out benchmarks/scheduling/results

Each size is measured in a process of its own: seconds to compile, seconds of the scheduler with a pool that answers
at once (ledger and markers in memory only, so that what is timed is the scheduler), milliseconds a stage, peak memory.
Then `--written N` experiments with all that a stage costs beside its work: a real ledger, the stage's folder, spec,
outcome and marker on this disk, and the survey of a second call that finds all of it done. Writes scale.json and a
chart, scale.svg.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.support.studies import with_fields

from regimen.execution.scheduler import Scheduler
from regimen.plan import Stage, compile_plan
from regimen.results import Ledger, Outcome, RunFolder, StageFolder
from regimen.results.facts import parse_facts
from regimen.stages.messages import Ended, Job, JobEnd, Message
from regimen.study import Leg, load_study
from regimen.study.schema import Experiment


class NoFolder:
    """Nothing is done, nothing is written."""

    def folder(self, stage: Any) -> Any:
        return self

    def outcome(self, stage: Any = None) -> None:
        return None


class NoLedger:
    def __getattr__(self, name: str) -> Any:
        return lambda *given: None


class Pool:
    """Eight workers, each done as soon as it is waited for."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()

    def free(self) -> int:
        return 8 - len(self._jobs)

    def submit(self, job: Job) -> str:
        self._jobs.append(job)
        return "none"

    def wait(self, seconds: float) -> list[Message]:
        job = self._jobs.popleft()
        ended = [Message(job.id, Ended(self._outcome(stage))) for stage in job.stages]
        return [*ended, Message(job.id, JobEnd("done"))]

    def _outcome(self, stage: Stage) -> Outcome:
        return Outcome(
            stage.fingerprint,
            stage.kind,
            stage.label,
            "done",
            0.0,
            1.0,
            parse_facts(stage.kind, {"task": "any", "folder": "none"}),
        )

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class WritingPool(Pool):
    """Commits every stage as a worker does, with nothing in it."""

    def __init__(self, stages: Path):
        super().__init__()
        self._stages = stages

    def _outcome(self, stage: Stage) -> Outcome:
        folder = StageFolder(self._stages, stage)
        folder.open()
        now = time.time()
        facts = parse_facts(stage.kind, {"task": "any", "folder": "none"})
        outcome = Outcome(stage.fingerprint, stage.kind, stage.label, "done", now, now, facts)
        folder.commit(outcome)
        return outcome


class WrittenScheduler(Scheduler):
    """One whose blocks are always there."""

    def _has_blocks(self, folder: StageFolder) -> bool:
        return True


def measure_written(count: int) -> dict[str, Any]:
    plan = compile_plan(study_of(count), tasks=["sst2"], gpus=8)
    seconds = []
    with tempfile.TemporaryDirectory(prefix="scale-", dir=Path.cwd()) as home:
        folder = RunFolder(Path(home) / "run")
        folder.create(plan.study, plan, {})
        for _ in range(2):
            ledger = Ledger(folder.path)
            pool = WritingPool(folder.stages)
            begun = time.perf_counter()
            scheduler = WrittenScheduler(plan, folder, pool, ledger, Path(home), lambda: False, lambda event: None)
            scheduler.run()
            seconds.append(time.perf_counter() - begun)
            ledger.close()
            assert set(scheduler.states.values()) == {"done"}
    return {
        "experiments": count,
        "stages": len(plan.stages),
        "seconds": round(seconds[0], 3),
        "ms_a_stage": round(1000 * seconds[0] / len(plan.stages), 3),
        "second_call_seconds": round(seconds[1], 3),
        "second_call_ms_a_stage": round(1000 * seconds[1] / len(plan.stages), 3),
    }


def study_of(count: int) -> Any:
    """`count` fine-tunings: mixtures of two sources, ten lengths on each trunk."""
    experiments = tuple(
        Experiment(
            id=f"x{number}",
            phase="3A",
            title=f"experiment {number}",
            legs=(
                Leg(
                    kind="finetune",
                    mixture={"glue-sst2": 1.0 + number // 10, "imdb": 1.0},
                    steps=1000 * (1 + number % 10),
                ),
            ),
        )
        for number in range(count)
    )
    update = {"experiments": experiments, "tracks": {"full": ("*",)}, "questions": {}}
    return with_fields(load_study("qwen2-finance", "full"), **update)


def measure(count: int) -> dict[str, Any]:
    study = study_of(count)
    begun, used = time.perf_counter(), time.process_time()
    plan = compile_plan(study, tasks=["sst2"], gpus=8)
    compiled, compile_cpu = time.perf_counter() - begun, time.process_time() - used
    after_compile = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scheduler = Scheduler(plan, NoFolder(), Pool(), NoLedger(), Path(), lambda: False, lambda event: None)  # type: ignore[arg-type]
    begun, used = time.perf_counter(), time.process_time()
    scheduler.run()
    scheduled, schedule_cpu = time.perf_counter() - begun, time.process_time() - used
    assert set(scheduler.states.values()) == {"done"}
    return {
        "experiments": count,
        "stages": len(plan.stages),
        "compile_seconds": round(compiled, 3),
        "compile_cpu_seconds": round(compile_cpu, 3),
        "compile_peak_mib": round(after_compile / 1024),
        "schedule_seconds": round(scheduled, 3),
        "schedule_cpu_seconds": round(schedule_cpu, 3),
        "schedule_ms_a_stage": round(1000 * scheduled / len(plan.stages), 4),
    }


def chart(rows: list[dict[str, Any]]) -> str:
    """Seconds against experiments, both axes logarithmic."""
    from math import log10

    def x(value: float) -> float:
        return 60 + 130 * (log10(value) - 2)

    def y(value: float) -> float:
        return 250 - 55 * (log10(max(value, 0.01)) + 2)

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 520 300" font-family="sans-serif" font-size="11">']
    for power in range(2, 6):
        parts.append(f'<text x="{x(10**power)}" y="268" text-anchor="middle">{10**power:,}</text>')
    for power in range(-2, 3):
        parts.append(f'<text x="52" y="{y(10**power) + 4}" text-anchor="end">{10**power:g} s</text>')
        parts.append(f'<line x1="56" x2="500" y1="{y(10**power)}" y2="{y(10**power)}" stroke="#ddd"/>')
    for field, colour in (("compile_seconds", "#1f77b4"), ("schedule_seconds", "#d62728")):
        points = " ".join(f"{x(row['experiments']):.1f},{y(row[field]):.1f}" for row in rows)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        last = rows[-1]
        words = field.removesuffix("_seconds")
        where = f'x="{x(last["experiments"]) + 4:.0f}" y="{y(last[field]):.0f}"'
        parts.append(f'<text {where} fill="{colour}">{words}</text>')
    parts.append('<text x="280" y="290" text-anchor="middle">experiments</text></svg>')
    return "\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", action="store_true", help="measure in this process and print one row")
    parser.add_argument("--written", type=int, default=1000, help="experiments with a real ledger and markers")
    given = parser.parse_args()
    if given.one:
        sys.stdout.write(json.dumps(measure(given.counts[0])) + "\n")
        return
    rows = []
    for count in given.counts:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(count)], stdout=subprocess.PIPE, text=True, check=True
        )
        rows.append(json.loads(done.stdout))
        sys.stdout.write(done.stdout)
    written = measure_written(given.written)
    sys.stdout.write(json.dumps(written) + "\n")
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        about = {
            "command": " ".join(sys.argv[1:]),
            "date": time.strftime("%Y-%m-%d"),
            "cores": os.cpu_count(),
            "load_average": os.getloadavg()[0],
            "versions": {"python": sys.version.split()[0], "pydantic": version("pydantic")},
        }
        (given.out / "scale.json").write_text(json.dumps({**about, "rows": rows, "written": written}, indent=2) + "\n")
        (given.out / "scale.svg").write_text(chart(rows))


if __name__ == "__main__":
    main()
