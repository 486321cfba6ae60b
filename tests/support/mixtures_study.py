"""A study of three mixtures of two tasks, ranked by one question; TASKS stands for the ranking's tasks."""

from __future__ import annotations

STUDY = """\
study: mixtures
base: {id: some/model, origin: folder}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 2.0e-3}, warmup_steps: 2}
sources:
  mood:
    files: [mood.jsonl]
    form: {prompt: "{{ text }}\\nMood:", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.2}
  topic:
    files: [topic.jsonl]
    form: {prompt: "{{ text }}\\nTopic:", label: {column: label, names: [bad, good]}}
    held_out: {share: 0.2}
  news: {files: [news.jsonl], form: {text: "{{ text }}"}, held_out: {share: 0.1}}
tasks:
  mood: {title: Mood, group: reviews, source: [mood], scoring: choice, metrics: [accuracy]}
  topic: {title: Topic, group: letters, source: [topic], scoring: choice, metrics: [accuracy]}
  text: {title: Text, group: letters, panel: text, source: [news], scoring: text, metrics: [bits-per-byte]}
experiments:
  - {phase: base, title: "Zero-shot: {task}", baseline: every-task}
  - {phase: mix, title: "{mixture}", steps: 20, finetune: {m-even: "mood:1 topic:1", m-mood: "mood:3 topic:1",
     m-topic: "mood:1 topic:3"}}
questions:
  Q:
    question: Which mixture is best?
    rule: {kind: best, rankings: [{title: Mixtures, among: ["m-*"], tasks: TASKS}]}
"""
