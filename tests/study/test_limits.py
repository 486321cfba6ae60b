"""Values that no machine can carry out are refused when a study is loaded, with line, value and limit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from regimen.errors import StudyError
from regimen.plan import compile_plan
from regimen.study import load_study
from tests.support.studies import MINIMAL


def load(tmp_path: Path, text: str, instead: str, more: str = "") -> None:
    path = tmp_path / "study.yaml"
    assert text in MINIMAL
    path.write_text(MINIMAL.replace(text, instead) + more)
    load_study(path)


@pytest.mark.parametrize(
    ("text", "instead", "reason"),
    [
        ("news.jsonl", "x" * 5000, "line 5, sources.news.files.*a name of 5,000 characters; at most 1,000 are allowed"),
        ("news.jsonl", "a/" + "x" * 300, "255 bytes between slashes"),
        ("news.jsonl", '"a\\0b"', "control characters"),
        ("some/model", "x" * 5000, "line 2, base.id.*at most 1,000"),
        ("finetune: {tune: mood}", "finetune: {tune: {mood: 1.0e308}}", "less than or equal to 1000000000"),
        ("finetune: {tune: mood}", "finetune: {tune: {mood: 1.0e-320}}", "greater than or equal to 0.000000001"),
        ("mood:3", "mood:1e308", "less than or equal to 1000000000"),
        ("steps: [20, 40]", "steps: [20, 4" + "0" * 40 + "]", "less than or equal to 1000000000"),
        ("warmup_steps: 2", "warmup_steps: 2, clip_norm: .inf", "line 3, schedule.clip_norm: .*finite number"),
        ("warmup_steps: 2", "warmup_steps: 2, epsilon: .nan", "line 3, schedule.epsilon"),
    ],
)
def test_a_value_beyond_every_machine_is_refused(text: str, instead: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=reason):
        load(tmp_path, text, instead)


@pytest.mark.parametrize("rate", ["1.0e-320", "0.0", ".inf", "1.0e300"])
def test_a_rate_that_no_machine_has_is_refused(rate: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="cost.steps_per_gpu_hour"):
        load(tmp_path, "study: small", "study: small", f"cost: {{steps_per_gpu_hour: {rate}}}\n")


def test_what_follows_a_baseline_is_refused(tmp_path: Path) -> None:
    one = "  - {phase: q, title: Q, id: q, start_from: 1-mood, legs: [{finetune: mood, steps: 4}]}\n"
    with pytest.raises(StudyError, match="experiment q: `start_from` '1-mood' is a baseline, which trains nothing"):
        load(tmp_path, "study: small", "study: small", one)


def test_a_ladder_of_thousands_of_lengths_is_planned_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(MINIMAL.replace("[20, 40]", str(list(range(2, 3002)))))
    study = load_study(path)
    begun = time.process_time()
    plan = compile_plan(study)
    assert time.process_time() - begun < 20
    ladder = [planned for planned in plan.experiments if planned.experiment.id.startswith("tune")]
    assert len(ladder) == 3000
    assert len(ladder[-1].trainings) > 2000, "one trunk, cut where each shorter length branches off"
    assert plan.steps_to_run < 0.12 * sum(range(2, 3002)), "each stretch of which is trained once"
