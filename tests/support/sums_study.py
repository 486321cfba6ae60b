"""A study of sums with generated answers; METRICS stands where its task's metrics go."""

from __future__ import annotations

from pathlib import Path

from regimen.plan import EvaluateSpec, Plan
from regimen.results import EvaluatedFacts
from tests.support.inline_runs import outcome_facts

STUDY = """\
study: sums
base: {id: regimen/tiny-qwen2, origin: packaged, precision: fp32}
batch: {sequences: 2, block: 32}
schedule: {learning_rate: {pretrain: 5.0e-3, finetune: 1.0e-2}, warmup_steps: 1}
evaluation: {context: 64}
sources:
  sums:
    files: [sums.csv]
    form: {prompt: "{{ question }}\\nResult:", answer: "{{ result }}"}
    held_out: {share: 0.3}
tasks:
  sums: {title: Sums, group: counting, source: [sums], scoring: generation, metrics: METRICS, generation: {tokens: 4}}
experiments:
  - {phase: zero-shot, title: "Zero-shot: {task}", baseline: every-task}
  - {phase: direct, title: "Direct, {sources}", steps: 2, finetune: {direct: sums}}
"""


def evaluated(plan: Plan, out: Path) -> dict[str, EvaluatedFacts]:
    """What each evaluation of a run recorded, by its label."""
    stages = [stage for stage in plan.stages.values() if isinstance(stage, EvaluateSpec)]
    return {stage.label: outcome_facts(plan, out, stage.fingerprint, EvaluatedFacts) for stage in stages}
