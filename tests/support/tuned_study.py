"""A study whose learning rate is chosen, on the reviews of examples/."""

from __future__ import annotations

from pathlib import Path

from regimen.plan import Plan, compile_plan
from regimen.study import load_study
from tests.support.checkout import ROOT

HERE = ROOT / "examples"
TUNED = """study: tuned
base: {id: regimen/tiny-qwen2, origin: packaged, precision: fp32}
batch: {sequences: 4, block: 64}
schedule: {learning_rate: {pretrain: 5.0e-3, finetune: 1.0e-2}, warmup_steps: 3}
sources:
  reviews:
    files: [data/reviews.jsonl]
    form:
      prompt: "{{ review }}\\nQuestion: Is this review bad or good?\\nAnswer:"
      label: {column: stars, bins: [3.0], names: [bad, good]}
    held_out: {share: 0.2}
    validation: {share: 0.2}
tasks:
  reviews: {title: Reviews, group: reading, source: [reviews], scoring: choice, metrics: [accuracy, macro-f1]}
experiments:
  - {phase: zero-shot, title: "Zero-shot: {task}", baseline: every-task}
  - phase: rates
    title: Reviews
    steps: 40
    finetune: {reviews: reviews}
    tune: {learning_rate: [x/3, x, 3x], short: 0.4}
"""


def tuned_plan(folder: Path, *changes: tuple[str, str], eval_items: int = 8, cohort_width: int | None = None) -> Plan:
    """The plan of the study with texts of it replaced, written into a folder."""
    text = TUNED
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(text)
    return compile_plan(load_study(folder / "study.yaml"), eval_items=eval_items, cohort_width=cohort_width)
