"""Margins: defaults, what a study and a task override, and what they leave as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from regimen.errors import StudyError
from regimen.plan import compile_plan
from regimen.study import load_study
from regimen.study.margins import DEFAULT_MARGINS, mean_margin, unit_of
from regimen.study.metrics import METRICS

REVIEWS = Path(__file__).parents[2] / "examples" / "reviews.yaml"


def changed(tmp_path: Path, more: str = "", task: str = "") -> Path:
    """The example study with further lines, and a further key of its task `reviews`."""
    text = REVIEWS.read_text(encoding="utf-8")
    if task:
        text = text.replace("  reviews: {title:", f"  reviews: {{{task}, title:")
        assert task in text
    path = tmp_path / "study.yaml"
    path.write_text(f"{text}\n{more}\n", encoding="utf-8")
    return path


def test_every_metric_between_0_and_1_and_every_bit_has_a_default() -> None:
    assert {name for name in METRICS if name not in DEFAULT_MARGINS} == {"mcc", "perplexity"}


def test_a_task_goes_before_the_study_and_the_study_before_the_default(tmp_path: Path) -> None:
    study = load_study(REVIEWS)
    metric = study.tasks["reviews"].headline
    assert study.margin_of("reviews") == DEFAULT_MARGINS[metric]
    assert load_study(changed(tmp_path, f"margin: {{{metric}: 0.07}}")).margin_of("reviews") == 0.07
    assert load_study(changed(tmp_path, f"margin: {{{metric}: 0.07}}", "margin: 0.1")).margin_of("reviews") == 0.1


def test_a_margin_changes_no_fingerprint(tmp_path: Path) -> None:
    plain = compile_plan(load_study(changed(tmp_path)))
    other = compile_plan(load_study(changed(tmp_path, "margin: {accuracy: 0.3}", "margin: 0.1")))
    assert list(plain.stages) == list(other.stages)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("margin: {acuracy: 0.02}", "did you mean 'accuracy'"),
        ("margin: {accuracy: 0}", "greater than 0"),
        ("margin: {accuracy: .inf}", "finite"),
    ],
)
def test_a_wrong_margin_is_told_when_the_study_is_loaded(tmp_path: Path, written: str, fault: str) -> None:
    with pytest.raises(StudyError, match=fault):
        load_study(changed(tmp_path, written))


def test_units_are_kept_apart() -> None:
    assert {unit_of(name) for name in ("accuracy", "macro-f1", "rouge-l", "pass@1", "bleu")} == {"share"}
    assert unit_of("answer-bits-per-byte") == unit_of("bits-per-byte") == "bits per byte"
    assert (unit_of("mcc"), unit_of("lm-eval:acc"), unit_of("mine:points")) == ("mcc", "lm-eval:acc", "mine:points")
    assert mean_margin([0.02, 0.05]) == pytest.approx(0.035)
    assert mean_margin([0.02, None]) is None
    assert mean_margin([]) is None
