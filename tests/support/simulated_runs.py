"""Run folders made up from known skills: every stage of a plan with an outcome, item rows and traces, no training.

`skill(end, task)` is the chance that an item is right (for texts: how far below 4 bits a byte). Items are as hard for
one end point as for another (correlation 0.6), so that differences are paired as in real runs.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import NormalDist
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from regimen.analysis.statistics.metric_sums import Sums
from regimen.plan import EvaluateSpec, ItemsSpec, Plan, PrepareSpec, Stage, TrainSpec
from regimen.results import Outcome, RunFolder
from regimen.results.facts import parse_facts
from regimen.results.item_rows import ITEM_SCHEMA
from regimen.results.tables import Cell, RunTables
from regimen.study import Task
from regimen.study.values import shares

Skill = Callable[[str, str], float]
LABELS = {"topic": tuple(f"topic {n}" for n in range(20)), "sst2": ("negative", "positive")}
OTHERS = ("alpha", "beta", "gamma")
DOCUMENTS = 2000
SKILLS = {"2": 0.4, "3": 0.75, "c": 0.7}


def skill(end: str, task: str) -> float:
    """Zero-shot and tasks that nobody learns 0.3; pretrained 0.4; fine-tuned 0.75."""
    return 0.3 if end == "zero-shot" or task in ("math", "code") else SKILLS.get(end[0], 0.3)


def simulate(
    out: Path,
    plan: Plan,
    skill: Skill,
    items: int = 24,
    seed: int = 1,
    skipped: frozenset[str] = frozenset(),
    validated: Skill | None = None,
) -> RunTables:
    """Writes the run folder and reads its tables; tasks of `skipped` are skipped, as `code` is without a sandbox.

    `validated(end, task)` is the score on the task's validation rows, where the study has them.
    """
    with patch("os.fsync"):  # thousands of small files that nobody will miss
        return _simulate(out, plan, skill, items, seed, skipped, validated)


def _simulate(
    out: Path, plan: Plan, skill: Skill, items: int, seed: int, skipped: frozenset[str], validated: Skill | None
) -> RunTables:
    folder = RunFolder(out)
    folder.create(plan.study, plan, {"compile": plan.options.to_json()})
    for number, stage in enumerate(plan.stages.values()):
        place = folder.folder(stage)
        path = place.open()
        facts: dict[str, Any] = {}
        if isinstance(stage, EvaluateSpec):
            facts = {"task": stage.task_name}
            if stage.task_name in skipped:
                facts["skipped"] = "no sandbox"
            else:
                columns = item_columns(stage.task_name, stage.task, skill(_end(plan, stage), stage.task_name), items,
                                       f"{seed}-{stage.task_name}", stage.label)  # fmt: skip
                pq.write_table(pa.table(columns, schema=ITEM_SCHEMA), path / "items.parquet")
                values = {m: _metric(m, columns) for m in stage.task.metrics}
                facts |= {"metrics": {k: None if math.isnan(v) else v for k, v in values.items()}, "items": items}
        elif isinstance(stage, ItemsSpec):
            facts = _items_facts(stage, items)
        elif isinstance(stage, PrepareSpec):
            facts = {"documents": documents(stage)}
        elif isinstance(stage, TrainSpec):
            facts = trained_facts(plan, stage, validated)
            _write_trace(stage, path)
        status = "skipped" if facts.get("skipped") else "done"
        started = 1_700_000_000.0 + number
        found = parse_facts(stage.kind, {"folder": "none", **facts})
        place.commit(Outcome(stage.fingerprint, stage.kind, stage.label, status, started, started + 1.0, found))
    return RunTables(folder, plan)


def _end(plan: Plan, stage: Stage) -> str:
    """The first end point that the evaluation belongs to."""
    for planned in plan.experiments:
        for evaluation in planned.all_evaluations:
            if evaluation.stage == stage.fingerprint:
                return str(evaluation.end) if planned.experiment.legs else "zero-shot"
    return "zero-shot"


def _metric(name: str, columns: dict[str, list[Any]]) -> float:
    form = Sums(name)  # held equal to the libraries by test_sums, and much faster
    return float(form.value(form.of(columns).sum(axis=0)))


def _items_facts(stage: ItemsSpec, items: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"task": stage.task_name, "items": items}
    if stage.task.scoring == "choice" and not stage.shots:
        lines = {"majority": 0.3, "chance": 0.25, "tfidf": 0.7}
        floors = {name: dict.fromkeys(stage.task.metrics, value) for name, value in lines.items()}
        facts["floors"] = floors | {"tfidf_rows": 100, "note": ""}
    return facts


def documents(stage: PrepareSpec) -> int:
    """Rows of a prepared source: 2,000, or as many as are taken."""
    return min(DOCUMENTS, stage.first or DOCUMENTS)


def trained_facts(plan: Plan, stage: TrainSpec, validated: Skill | None = None) -> dict[str, Any]:
    """Each block is one row; at its end a training is looked at on validation rows."""
    size, epochs = stage.leg.batch.sequences, {}
    for source, prepared in stage.leg.sources.items():
        found = plan.stages[prepared]
        assert isinstance(found, PrepareSpec)
        epochs[source] = stage.last_step * size * shares(stage.leg.mixture)[source] / documents(found)
    facts = {"steps": stage.steps, "tokens": stage.steps * size * stage.leg.batch.block, "epochs": epochs}
    ends = [one.experiment.id for one in plan.experiments if one.ends and one.ends[-1] == stage.fingerprint]
    if validated and stage.leg.validation and ends:
        scores = {task.name: validated(ends[0], task.name) for task in stage.leg.validation.tasks}
        facts["validation"] = [{"step": stage.last_step, "loss": 1.0, "losses": {}, "scores": scores}]
    return facts


def _write_trace(stage: TrainSpec, path: Path) -> None:
    rows = [
        {"step": step, "loss": 0.5 + 2.0 * (step + 1) ** -0.5, "lr": 1e-3, "tokens": 512 * (step + 1)}
        for step in range(stage.first_step, stage.last_step)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def item_columns(name: str, task: Task, skill: float, items: int, shared: str, own: str) -> dict[str, list[Any]]:
    """The columns of items.parquet; `shared` and `own` seed the items' difficulty and the end point's luck."""
    common, lone, normal = random.Random(shared), random.Random(f"{shared}-{own}"), NormalDist()
    labels = LABELS.get(name, OTHERS)
    rows: list[dict[str, Any]] = []
    for index in range(items):
        hard = math.sqrt(0.6) * common.gauss(0, 1) + math.sqrt(0.4) * lone.gauss(0, 1)
        right = normal.cdf(hard) < skill
        target = common.choice(labels)
        wrong = lone.choice([label for label in labels if label != target])
        size = common.randint(40, 80)
        words = common.randint(6, 20)
        matches = [max(0, int((words - order) * (0.9 if right else 0.3))) for order in range(4)]
        graded = (0.6 if right else 0.1) + 0.3 * lone.random()
        values = {m: graded if m == "rouge-l" else float(right) for m in task.metrics}
        bits = (4.0 - 3.0 * skill) * size * (1 + 0.05 * hard)
        wanted = common.randint(1, 3)
        totals = [words - order for order in range(4)]
        corpus = [float(v) for v in (words, words, *matches, *totals, *totals)]
        entities = [float(wanted if right else 0), float(wanted), float(wanted)]
        rows.append(
            {
                "task": name,
                "item_id": f"{name}-{index:04d}",
                "cluster": f"{name}-c{index // 2 if task.resample else index:04d}",
                "prompt_hash": f"{index:08x}",
                "target": "" if task.scoring == "text" else target,
                "prediction": target if right else wrong,
                "positive": labels[1],
                "score": float(right),
                "logprobs": [],
                "text": target if right else wrong,
                "truncated": False,
                "failed": False,
                "detail": "",
                "nats": max(1.0, bits * math.log(2)),
                "bytes": size,
                "tokens": size // 4,
                "values": list(values.items()),
                "bleu_counts": corpus if "bleu" in task.metrics else [],
                "entity_counts": entities if "entity-f1" in task.metrics else [],
                "shots": 0,
                "twin": False,
            }
        )
    return {column: [row[column] for row in rows] for column in ITEM_SCHEMA.names}


def without(tables: RunTables, gone: Callable[[Cell], bool] | Iterable[str]) -> RunTables:
    """The run as it was before some cells (or whole experiments) were done."""
    chosen = gone if callable(gone) else lambda cell, names=frozenset(gone): cell.experiment in names
    less = copy.copy(tables)
    less.cells = {key: cell for key, cell in tables.cells.items() if not chosen(cell)}
    return less
