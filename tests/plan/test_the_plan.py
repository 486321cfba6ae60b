"""The packaged study is the plan of 72 experiments, figure by figure.

golden/experiments.csv is the settled reading of the plan: one row an experiment.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from regimen import compile_plan, load_study
from tests.support.studies import with_fields

GOLDEN = Path(__file__).parent / "golden" / "experiments.csv"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    command = [sys.executable, "-m", "regimen", "plan", "qwen2-finance", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def golden() -> list[dict[str, str]]:
    with GOLDEN.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_plan_equals_the_reading_row_by_row(document: dict[str, Any]) -> None:
    found = [
        {
            "id": e["id"],
            "phase": e["phase"],
            "title": e["title"],
            "kind": e["kind"],
            "mixture": " > ".join(
                " ".join(f"{part['source']}:{part['weight']:g}" for part in leg["mixture"]) for leg in e["legs"]
            ),
            "steps": str(e["steps"]),
            "start_from": e["start_from"] or "",
            "gpu_hours": float(e["gpu_hours"]),
            "fast_track": "yes" if e["fast_track"] else "",
        }
        for e in document["experiments"]
    ]
    assert found == [row | {"gpu_hours": float(row["gpu_hours"])} for row in golden()]


def test_the_totals_are_the_plans(document: dict[str, Any]) -> None:
    totals = document["totals"]
    assert (totals["experiments"], totals["steps_planned"], totals["steps_to_run"]) == (72, 680_000, 520_600)
    assert totals["gpu_hours_planned"] == pytest.approx(341.7)
    assert totals["gpu_hours_to_run"] == pytest.approx(520_600 / 2000 + 1.7)
    # the plan's own summary table
    assert {phase: (v["experiments"], v["gpu_hours"]) for phase, v in totals["by_phase"].items()} == {
        "1": (10, pytest.approx(1.7)),
        "2A": (9, 127.5),
        "2B": (12, 67.5),
        "2C": (6, 30.0),
        "3A": (10, 25.0),
        "3B": (10, 60.0),
        "3C": (15, 30.0),
    }


def test_the_stages_add_up_to_the_steps_to_run(document: dict[str, Any]) -> None:
    trained = [s for s in document["stages"] if s["kind"] == "train"]
    assert sum(s["last_step"] - s["first_step"] for s in trained) == 520_600
    names = {s["fingerprint"] for s in document["stages"]}
    assert len(names) == len(document["stages"])
    assert all(s["parent"] is None or s["parent"] in names for s in trained)
    assert {s["part"] for s in trained} == {"trunk", "cooldown"}
    for experiment in document["experiments"]:
        assert set(experiment["stages"]) <= names


def test_a_baseline_is_evaluated_on_its_task_and_the_trained_on_all_ten(document: dict[str, Any]) -> None:
    tasks = [e["evaluations"][0] for e in document["experiments"][:10]]
    assert len(set(tasks)) == 10
    for experiment in document["experiments"]:
        assert experiment["evaluations"] == ([experiment["id"][2:]] if experiment["kind"] == "baseline" else tasks)


def test_the_fast_track_is_26_experiments_in_82_hours() -> None:
    plan = compile_plan(load_study("qwen2-finance"), track="fast")
    assert plan.totals["experiments"] == 26
    assert plan.totals["gpu_hours_planned"] == pytest.approx(81.7)
    assert all(p.fast_track for p in plan.experiments)
    assert max(bar.end_hour for bar in plan.gantt) / 24 == pytest.approx(3.4, abs=0.01)  # "3.4 days" on one GPU


def test_the_controls_stand_beside_the_72() -> None:
    study = load_study("qwen2-finance")
    controls = compile_plan(study, track="controls")
    full = compile_plan(study)
    assert not {p.experiment.id for p in controls.experiments} & {p.experiment.id for p in full.experiments}
    ladder = [p for p in controls.experiments if p.experiment.title.startswith("Ladder")]
    assert len(ladder) == 40
    # a shorter horizon is only a cooldown off the trunk that the full track trains anyway
    trained = set(full.stages)
    assert all(set(p.trainings[:-1]) <= trained for p in ladder)
    same = sorted(p.experiment.id for p in ladder if p.trainings[-1] in trained)
    assert same == ["c-cola-2k", "c-imdb-2k", "c-sst2-2k"]  # the first legs of sequences 6, 1 and 2


def test_the_crossed_track_stands_beside_the_72() -> None:
    study = load_study("qwen2-finance")
    crossed = compile_plan(study, track="crossed")
    assert crossed.totals["experiments"] == 10 + 90 + 60
    assert (crossed.totals["steps_planned"], crossed.totals["steps_to_run"]) == (204_000, 144_000)
    full = compile_plan(study)
    shared = {p.experiment.id for p in crossed.experiments} & {p.experiment.id for p in full.experiments}
    assert shared == {f"1-{task}" for task in study.panel("main")}
    # what the 72 are does not hang on it: without it, every stage is the same
    left = tuple(e for e in study.experiments if e.phase not in ("crossed", "rows"))
    tracks = {name: patterns for name, patterns in study.tracks.items() if name != "crossed"}
    alone = compile_plan(with_fields(study, experiments=left, tracks=tracks))
    assert list(alone.stages) == list(full.stages)
    assert alone.to_json() == full.to_json()
    # the last rung is a cooldown off the trunk that direct fine-tuning trains anyway
    last = next(p for p in crossed.experiments if p.experiment.id == "r-math~rowsall")
    assert set(last.trainings[:-1]) <= set(full.stages)


def test_shared_work_is_shared_exactly() -> None:
    plan = compile_plan(load_study("qwen2-finance"))
    by_id = {p.experiment.id: p for p in plan.experiments}
    assert by_id["3c-3-finance-pretrain"].trainings == by_id["2b-mixed-financial-10k"].trainings
    ten, twenty_five, fifty = (by_id[f"2a-openwebtext-{n}k"].trainings for n in (10, 25, 50))
    assert set(ten[:-1]) < set(twenty_five[:-1]) < set(fifty[:-1])
    assert len({ten[-1], twenty_five[-1], fifty[-1]}) == 3
    # pretraining on GSM8K and fine-tuning on it are different work
    assert not set(by_id["2c-gsm8k-10k"].trainings) & set(by_id["3a-math"].trainings)


def test_the_gantt_keeps_the_plans_order() -> None:
    plan = compile_plan(load_study("qwen2-finance"), gpus=8)
    bars = {bar.label: bar for bar in plan.gantt}
    ends = {phase: max(b.end_hour for b in plan.gantt if b.phase == phase) for phase in ("1", "3A", "3B")}
    for bar in plan.gantt:
        if bar.phase in ("2A", "2B", "2C", "3A"):
            assert bar.start_hour >= ends["1"]
        if bar.phase == "3B":
            assert bar.start_hour >= ends["3A"]
        if bar.phase == "3C":
            assert bar.start_hour >= ends["3B"]
    assert bars["2a-openwebtext-25k"].start_hour >= bars["2a-openwebtext-10k"].end_hour
    assert bars["2a-openwebtext-50k"].start_hour >= bars["2a-openwebtext-25k"].end_hour
    assert bars["3c-2-topic"].start_hour >= bars["3c-2-three-way-sentiment"].end_hour


@pytest.mark.parametrize("gpus", [1, 2, 8])
def test_the_gantt_uses_no_more_gpus_than_there_are(gpus: int) -> None:
    bars = compile_plan(load_study("qwen2-finance"), gpus=gpus).gantt
    for bar in bars:
        running = sum(other.start_hour <= bar.start_hour < other.end_hour for other in bars)
        assert running <= gpus


def test_the_questions_are_declared_as_settled() -> None:
    questions = load_study("qwen2-finance").questions
    counts: dict[str, int] = {}
    for question in questions.values():
        for contrast in question.contrasts:
            counts[contrast.group] = counts.get(contrast.group, 0) + 1
    assert counts == {
        "rq1-domain": 6,
        "rq1-then-finetune-others": 1,
        "rq1-general": 1,
        "rq1-own-rows": 4,
        "rq1-then-finetune": 1,
        "rq2-mixture": 11,  # one for each mixture, and the bits per byte of one of its parts
        "rq2-corpora": 2,
        "rq3-forward": 7 * 9 + 3 * 10,  # seven of ten direct models trained on the rows of a main task
        "rq3-cross-domain": 6,
        "rq3-backward": 6,
    }
    mixtures = {c.id: c for c in questions["RQ2"].contrasts}
    glue = mixtures["rq2-mixture:3b-glue"]
    assert [(str(p.of), str(p.against), p.task) for p in glue.pairs] == [
        ("3b-glue", "3a-sst2", "sst2"),
        ("3b-glue", "3a-cola", "cola"),
        ("3b-glue", "3a-mrpc", "mrpc"),
    ]
    assert mixtures["rq2-mixture:3b-instruction"].pairs == ()
    assert "alpaca" in mixtures["rq2-mixture:3b-instruction"].note
    backward = {c.id: c for c in questions["RQ3"].contrasts}["rq3-backward:3c-6-glue"]
    assert [(str(p.of), str(p.against), p.task) for p in backward.pairs] == [
        ("3c-6-glue", "3c-6-glue@1", "cola"),
        ("3c-6-glue", "3c-6-glue@2", "sst2"),
    ]


def test_every_end_that_a_contrast_names_is_evaluated() -> None:
    study = load_study("qwen2-finance")
    plan = compile_plan(study)
    by_id = {p.experiment.id: p for p in plan.experiments}
    for question in study.questions.values():
        for contrast in question.contrasts:
            for pair in contrast.pairs:
                for point in (pair.of, pair.against):
                    if point.is_base:
                        known = set(plan.reference) | {p.experiment.task for p in plan.experiments}
                    else:
                        known = {one.key for one in by_id[point.experiment].all_evaluations}
                    assert point.on(pair.task) in known, (contrast.id, pair)
