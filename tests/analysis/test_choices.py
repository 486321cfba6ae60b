"""Choices read validation rows where a run has them, and no test item then; without them they say so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regimen.analysis.choices import Choices
from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.findings import Findings, findings
from regimen.analysis.rules import Rules
from regimen.plan import Plan, compile_plan
from regimen.results.tables import RunTables
from regimen.study import load_study
from tests.support.simulated_runs import simulate

STUDY = """\
study: choices
base: {id: some/model, origin: folder}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 2.0e-3}, warmup_steps: 2}
VALIDATE
sources:
  mood:
    files: [mood.jsonl]
    form: {prompt: "{{ text }}\\nMood:", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.2}
    VALIDATION
  topic:
    files: [topic.jsonl]
    form: {prompt: "{{ text }}\\nTopic:", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.2}
    VALIDATION
tasks:
  mood: {title: Mood, group: reviews, source: [mood], scoring: choice, metrics: [accuracy]}
  topic: {title: Topic, group: reviews, source: [topic], scoring: choice, metrics: [accuracy]}
experiments:
  - {phase: base, title: "Zero-shot: {task}", baseline: every-task}
  - {phase: alone, title: "{mixture}", steps: 20, finetune: {d-mood: mood, d-topic: topic}}
  - {phase: alone, title: "{mixture}", steps: 40, finetune: {d-mood-long: mood, d-topic-long: topic}}
  - {phase: mix, title: "{mixture}", steps: 80, finetune: {m-even: "mood:1 topic:1", m-mood: "mood:3 topic:1"}}
tracks: {full: ["*"], fast: ["*"]}
gate: {track: fast, winners: 1, group: reviews, gain: GAIN}
"""
RULES = Rules(seed=1, resamples=300, swaps=999)
Skill = Callable[[str, str], float]
ZERO = 0.3


def study_text(rows: bool, gain: float = 0.2) -> str:
    wanted = {"VALIDATE": "validate: {}", "VALIDATION": "validation: {share: 0.1}"}
    text = STUDY.replace("GAIN", str(gain))
    for mark, line in wanted.items():
        text = text.replace(mark, line if rows else "")
    return text


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Plan]:
    def made(rows: bool = True, gain: float = 0.2) -> Plan:
        path = tmp_path / "study.yaml"
        path.write_text(study_text(rows, gain), encoding="utf-8")
        return compile_plan(load_study(path))

    return made


def found(tables: RunTables) -> Findings:
    evidence = Evidence(tables, RULES)
    return findings(evidence, exploratory_grid(evidence))


def chosen(result: Findings) -> dict[str, Any]:
    """Everything that is chosen among recipes."""
    gate = result.gate.evidence[-1]
    return {
        "units": {unit.task: (unit.best, unit.chosen_on) for unit in result.units},
        "recipes": {(one.task, one.budget_gpu_hours): (one.best, one.cheapest_alike, one.chosen_on)
                    for one in result.recipes},
        "tree": [(b.budget_gpu_hours, b.leader, b.runner_up, b.recipes, b.chosen_on)
                 for node in result.tree for b in node.branches],
        "members": {row.strategy: row.best_experiment and row.best_experiment.experiment for row in result.taxonomy},
        "gate": (gate.experiment, getattr(gate, "chosen_on", None)),
        "advice": [(one.field, one.change) for one in result.gate.adjust],
    }  # fmt: skip


def validated(end: str, task: str) -> float:
    return {"d-mood": 0.71, "d-topic": 0.70, "d-mood-long": 0.72, "d-topic-long": 0.60, "m-even": 0.8, "m-mood": 0.6}[
        end
    ]


def level(end: str, task: str) -> float:
    return ZERO if end == "zero-shot" else 0.85


def reversed_skill(end: str, task: str) -> float:
    """Test items that contradict the validation rows in everything."""
    return ZERO if end == "zero-shot" else 1.4 - validated(end, task)


def test_no_choice_reads_a_test_item_where_there_are_validation_rows(plan: Callable[..., Plan], tmp_path: Path) -> None:
    made = plan()
    results = [
        chosen(found(simulate(tmp_path / f"run{n}", made, skill, items=120, seed=n, validated=validated)))
        for n, skill in enumerate((level, reversed_skill))
    ]
    assert results[0] == results[1]
    one = results[0]
    assert one["units"] == {"mood": ("m-even", "validation rows"), "topic": ("m-even", "validation rows")}
    assert one["gate"] == ("m-even", "validation rows")
    assert one["members"]["multi-task"] == "m-even"
    last = one["tree"][-1]
    assert last[1:3] == ("multi-task", "direct fine-tuning")
    assert last[3] == {"mood": "m-even", "topic": "m-even"}
    cheap = {key: value for key, value in one["recipes"].items() if value[0].startswith("d-")}
    assert set(cheap.values()) == {("d-mood-long", "d-mood", "validation rows"),
                                   ("d-topic", "d-topic", "validation rows")}  # fmt: skip


def test_other_validation_scores_choose_otherwise(plan: Callable[..., Plan], tmp_path: Path) -> None:
    def other(end: str, task: str) -> float:
        return 1.4 - validated(end, task)

    result = found(simulate(tmp_path / "run", plan(), level, items=120, validated=other))
    picks = chosen(result)
    assert picks["units"]["topic"] == ("d-topic-long", "validation rows")  # the first of two that are equal
    assert picks["gate"][0] == "m-mood"
    branches = [branch for node in result.tree for branch in node.branches]
    assert all("chosen on validation rows." in one.statement for one in (*result.recipes, *branches))
    assert "chosen on validation rows." in result.gate.evidence[-1].statement


def test_the_cheapest_alike_is_within_the_margin_on_validation_rows(plan: Callable[..., Plan], tmp_path: Path) -> None:
    def close(end: str, task: str) -> float:
        return {"m-even": 0.80, "d-mood": 0.79, "d-topic": 0.775}.get(end, 0.5)

    picks = chosen(found(simulate(tmp_path / "run", plan(), level, items=120, validated=close)))["recipes"]
    widest = max(budget for _, budget in picks)
    assert picks["mood", widest] == ("m-even", "d-mood", "validation rows")
    assert picks["topic", widest] == ("m-even", "m-even", "validation rows")


def test_advice_reads_no_test_item_where_there_are_validation_rows(plan: Callable[..., Plan], tmp_path: Path) -> None:
    def harm(end: str, task: str) -> float:
        return 0.9 if end == "zero-shot" else 0.2

    results = {
        rows: found(simulate(tmp_path / f"run{rows}", plan(rows), harm, items=80, validated=validated)).gate
        for rows in (True, False)
    }
    assert {rows: gate.decision for rows, gate in results.items()} == dict.fromkeys((True, False), "not promising")
    assert "experiments.mixture" in [one.field for one in results[False].adjust]
    assert "experiments.mixture" not in [one.field for one in results[True].adjust]
    assert "read off training traces and test items" in results[False].next
    assert "read off training traces)" in results[True].next


def test_without_validation_rows_every_choice_says_that_test_items_made_it(
    plan: Callable[..., Plan], tmp_path: Path
) -> None:
    tables = simulate(tmp_path / "run", plan(rows=False), reversed_skill, items=120, validated=validated)
    result = found(tables)
    picks = chosen(result)
    assert {on for _, on in picks["units"].values()} == {"test items"}
    assert all("chosen on the test items that it is judged on" in one.statement for one in result.recipes if one.best)
    assert picks["gate"][1] == "test items"
    assert not Choices(Evidence(tables, RULES)).any


def test_rows_that_no_training_was_looked_at_by_choose_nothing(plan: Callable[..., Plan], tmp_path: Path) -> None:
    result = found(simulate(tmp_path / "run", plan(), level, items=120))
    assert {unit.chosen_on for unit in result.units} == {"test items"}
