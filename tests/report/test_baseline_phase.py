"""Baselines are recognised by training nothing, whatever their phase is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from regimen.plan import Plan, compile_plan
from regimen.report import facts, score_tables
from regimen.report.run_reading import read
from regimen.results import RunFolder
from regimen.results.tables import baseline_phase
from regimen.study import load_study
from tests.support.simulated_runs import simulate

STUDY = """\
study: small
base: {id: some/model, origin: folder}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 2.0e-3}, warmup_steps: 2}
phases: {"1": {title: Tuning}, untrained: {title: Baselines}}
sources:
  mood:
    files: [mood.jsonl]
    form: {prompt: "{{ text }}\\nMood:", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.2}
  other:
    files: [other.jsonl]
    form: {prompt: "{{ text }}\\nMood:", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.2}
tasks:
  mood: {title: Mood, group: reviews, source: [mood], scoring: choice, metrics: [accuracy]}
  other: {title: Other, group: reviews, source: [other], scoring: choice, metrics: [accuracy], panel: own}
experiments:
  - {phase: untrained, title: "Zero-shot: {task}", baseline: every-task}
  - {phase: "1", title: "Tune {sources}", steps: 20, finetune: {tune-mood: mood, tune-other: other}}
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return compile_plan(load_study(path))


def test_the_base_stands_in_the_phase_of_the_baselines(plan: Plan, tmp_path: Path) -> None:
    simulate(tmp_path / "run", plan, lambda end, task: 0.4 if end == "zero-shot" else 0.8, items=20)
    reading = read(RunFolder(tmp_path / "run"), plan)
    base = {row.phase for row in reading.rows if row.experiment == "zero-shot"}
    trained = {row.phase for row in reading.rows if row.experiment.startswith("tune")}
    assert base == {"untrained"}, "the task of its own panel is scored by the base itself"
    assert trained == {"1"}
    assert score_tables.all_scores(reading)[0].name == "zero-shot"
    evaluated = {row["phase"]: row["evaluate"] for row in facts.hours(reading)}
    count = {"untrained": 2, "1": 3}  # a second each; only what trained on `other` is scored on it
    assert {phase: round(hours * 3600) for phase, hours in evaluated.items() if hours} == count


def test_a_study_without_baselines_has_no_phase_for_the_base(tmp_path: Path) -> None:
    lines = [line for line in STUDY.splitlines(keepends=True) if "baseline:" not in line]
    (tmp_path / "study.yaml").write_text("".join(lines), encoding="utf-8")
    assert baseline_phase(load_study(tmp_path / "study.yaml")) == ""
