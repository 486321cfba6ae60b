"""A study of a few seconds with files of its own, carried out in this process by the command's own way."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

from regimen.engine.locate import locate_base
from regimen.execution.events import Note, RunEvent
from regimen.execution.runner import RunSummary, run_plan
from regimen.files import cache_home
from regimen.plan import Plan, compile_plan
from regimen.stages.context import Context
from regimen.stages.options import RunOptions, WorkerSetup
from regimen.study import load_study
from tests.support.inline_runs import InlinePool
from tests.support.row_files import write

WORDS = ("good", "fine", "great", "lovely", "nice", "bad", "poor", "awful", "dire", "sad")


def small_study(folder: Path, **changes: Any) -> Path:
    """Writes the study, its rows and its base into a folder; returns the study's path."""
    rows = [
        {"review": f"{WORDS[n % 10]} {n * 7919 % 613} thing {n * 104729 % 9973}", "y": int(n % 10 < 5)}
        for n in range(60)
    ]
    if not (folder / "a.jsonl").is_file():
        write(folder / "a.jsonl", rows)
    packaged = {"id": "regimen/tiny-qwen2", "origin": "packaged", "precision": "fp32"}
    if not (folder / "base").is_dir():
        from regimen.study.schema import Base

        shutil.copytree(locate_base(Base.model_validate(packaged)), folder / "base")
    label = {"column": "y", "names": ["no", "yes"]}
    study = {
        "study": "small",
        "base": {"id": str(folder / "base"), "origin": "folder", "precision": "fp32"},
        "batch": {"sequences": 2, "block": 64},
        "schedule": {"learning_rate": {"pretrain": 5.0e-3, "finetune": 1.0e-2}, "warmup_steps": 1},
        "evaluation": {"context": 128},
        "sources": {
            "a": {
                "files": ["a.jsonl"],
                "form": {"prompt": "{{ review }}\nGood?", "label": label},
                "held_out": {"share": 0.3},
            }
        },
        "tasks": {"a": {"title": "A", "group": "g", "source": ["a"], "scoring": "choice", "metrics": ["accuracy"]}},
        "experiments": [
            {"phase": "base", "title": "{task}", "baseline": "every-task"},
            {"phase": "direct", "title": "Direct", "steps": 4, "finetune": {"direct": "a"}},
        ],
        **changes,
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return path


def small_plan(study: Path, only: Sequence[str] = ()) -> Plan:
    """The study's plan; one member a cohort, so that a stage that is done again rounds as before."""
    return compile_plan(load_study(study), cohort_width=1, only=only)


def run_small(
    plan: Plan, out: Path, here: Path, *, accept_changed: bool = False, data: Path | None = None
) -> tuple[RunSummary, list[str]]:
    """Runs the plan as the command does, but for its workers; returns the summary and what was said."""
    options = RunOptions(out, data=data, here=here, accept_changed=accept_changed)
    said: list[str] = []

    def hear(event: RunEvent) -> None:
        if isinstance(event, Note):
            said.append(event.text)

    pool = InlinePool(Context(WorkerSetup(options, cache_home()), lambda: False))
    with patch("regimen.execution.runner.make_pool", lambda options, plan: pool):
        summary = run_plan(plan, options, hear, {"compile": plan.options.to_json()})
    return summary, said
