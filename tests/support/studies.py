"""A study as small as can be, as text, for tests that change one thing."""

from __future__ import annotations

MINIMAL = """\
study: small
base: {id: some/model, origin: folder}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 2.0e-3}, warmup_steps: 2}
sources:
  news: {files: [news.jsonl], form: {text: "{{ text }}"}, held_out: {share: 0.1}}
  mood:
    files: [mood.jsonl]
    form:
      prompt: "{{ text }}\\nMood:"
      label: {column: label, names: [bad, good]}
    held_out: {share: 0.2}
tasks:
  mood: {title: Mood, group: reviews, source: [mood], scoring: choice, metrics: [accuracy]}
experiments:
  - {phase: base, title: "Zero-shot: {task}", baseline: every-task}
  - {phase: tune, title: "Tune {sources}", steps: [20, 40], finetune: {tune: mood}}
  - phase: chain
    title: "Chain: {stage}"
    chain: both
    stages:
      - {id: read, pretrain: news, steps: 10}
      - {id: tune, finetune: "mood:3", steps: 20}
"""

# The beginning of a study that runs as it stands, on the packaged base; its sources follow.
ON_THE_PACKAGED_BASE = """\
study: own
base: {id: regimen/tiny-qwen2, origin: packaged, precision: fp32}
batch: {sequences: 2, block: 32}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 1.0e-3}, warmup_steps: 1}
"""
