"""A study of many experiments on ten tasks, and a made-up run of it: what reports of large studies are tested on."""

from __future__ import annotations

import json
from pathlib import Path

from regimen.plan import ItemsSpec, Plan, compile_plan
from regimen.results import RunFolder
from regimen.study import load_study
from tests.support.simulated_runs import simulate

TASKS = 10


def large_plan(folder: Path, experiments: int) -> Plan:
    """A plan that tunes on each of ten sources at `experiments` / 10 learning rates; `folder` holds its study."""
    folder.mkdir(parents=True, exist_ok=True)
    rates = [f"{1e-4 * (index + 1):.4g}" for index in range(experiments // TASKS)]
    sources = "".join(
        f"  s{n}: {{files: [s{n}.jsonl], form: {{prompt: '{{{{ text }}}} Mood:', label: {{column: label, names: "
        f"[alpha, beta, gamma]}}}}, held_out: {{share: 0.2}}}}\n"
        for n in range(TASKS)
    )
    tasks = "".join(
        f"  t{n}: {{title: Mood of source {n}, group: reviews, source: [s{n}], scoring: choice, "
        "metrics: [accuracy, macro-f1]}\n"
        for n in range(TASKS)
    )
    study = (
        "study: large\nbase: {id: regimen/tiny-qwen2, origin: packaged, precision: fp32}\n"
        "batch: {sequences: 2, block: 32}\n"
        "schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 1.0e-3}, warmup_steps: 1}\n"
        f"sources:\n{sources}tasks:\n{tasks}"
        "experiments:\n  - {phase: base, title: 'Zero-shot: {task}', baseline: every-task}\n"
        "  - {phase: tune, title: 'Tune on {sources}', steps: [20], finetune: {"
        + ", ".join(f"tune-{n}: s{n}" for n in range(TASKS))
        + f"}}, vary: {{learning_rate: [{', '.join(rates)}]}}}}\n"
    )
    path = folder / "large.yaml"
    path.write_text(study, encoding="utf-8")
    return compile_plan(load_study(str(path)))


def skill(end: str, task: str) -> float:
    """The base at 0.4; tuning on a task's own source gives 0.8, on another 0.5."""
    if not end.startswith("tune-"):
        return 0.4
    return 0.8 if end.split("~")[0].removeprefix("tune-") == task.removeprefix("t") else 0.5


def large_run(folder: Path, experiments: int, items: int) -> tuple[RunFolder, Plan]:
    """A finished run of it, with prompts of about 300 letters."""
    plan = large_plan(folder, experiments)
    simulate(folder / "run", plan, skill, items=items)
    run = RunFolder(folder / "run")
    for stage in plan.stages.values():
        if isinstance(stage, ItemsSpec):
            words = [
                f"{stage.task_name}-{index:04d} " + " ".join(f"w{(index * 31 + n * 7) % 997}" for n in range(60))
                for index in range(items)
            ]
            lines = [
                json.dumps({"id": f"{stage.task_name}-{index:04d}", "prompt": f"{text}\nMood:"})
                for index, text in enumerate(words)
            ]
            (run.folder(stage).path / "items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return run, plan
