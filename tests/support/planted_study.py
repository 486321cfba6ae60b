"""A study that asks one question of every kind of rule, for planted runs: eleven tasks, six crossed sets."""

from __future__ import annotations

CROSSED, OTHERS = "abcdef", "hklrs"  # tasks; h is trained on by nothing
_FORM = '{prompt: "{{ text }} is", label: {column: label, names: [bad, good]}}, held_out: {share: 0.2}'
_STUDY = """\
study: planted
base: {id: some/model, origin: folder}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 2.0e-3}, warmup_steps: 2}
seeds: SEEDS
margin: {accuracy: 0.05}
sources:
  news: {files: [news.jsonl], form: {text: "{{ text }}"}, held_out: {share: 0.1}}
  SOURCES
tasks: {TASKS}
experiments:
  - {phase: base, title: "Zero-shot: {task}", baseline: every-task}
  - {phase: pretraining, title: One, steps: 20, pretrain: {p-one: news}}
  - {phase: pretraining, title: Two, steps: 40, pretrain: {p-two: news}}
  - {phase: tuning, title: "{mixture}", steps: 40, finetune: {m-even: "k:1 l:1", m-k: "k:3 l:1", m-l: "k:1 l:3"}}
  - {phase: tuning, title: "{mixture}", steps: 20, finetune: {d-k: k, d-l: l}}
  - phase: chain
    title: "{stage}"
    chain: c
    stages: [{id: k, finetune: k, steps: 20}, {id: l, finetune: l, steps: 20}]
  - phase: crossed
    title: "{set}: {strategy}"
    steps: 40
    crossed: {x-ab: [a, b], x-bc: [b, c], x-cd: [c, d], x-de: [d, e], x-ef: [e, f], x-fa: [f, a]}
  - {phase: rows, title: "{sources}", steps: 40, finetune: {r-r: r, r-s: s}, vary: {rows: [100, 300, all]}}
questions:
  RQ1:
    question: Does pretraining help?
    contrasts: [{id: lift, tasks: [h], each: [p-one, p-two]}]
  RQ2:
    question: Which mixture is best?
    rule:
      kind: best
      rankings: [{title: On K, among: ["m-*"], tasks: [k]}, {title: On L, among: ["m-*"], tasks: [l]}]
  RQ3:
    question: Does skill transfer?
    rule:
      kind: parts
      parts: [{title: Forward transfer, groups: [forward]}, {title: Forgetting, groups: [kept], asks: kept}]
    contrasts: [{id: forward, tasks: [h], each: [d-k, d-l]}, {id: kept, backward: [c-l]}]
  RQ4: {question: "Is there a universal recipe?", rule: {kind: rank}}
  RQ5: {question: "How little data and compute?", rule: {kind: threshold, fraction: 0.8, anchor: GPT-4}}
"""


def planted_study(seeds: int) -> str:
    """The study's file, every recipe trained with so many seeds."""
    names = CROSSED + OTHERS
    sources = "\n  ".join(f"{name}: {{files: [{name}.jsonl], form: {_FORM}}}" for name in names)
    shape = "group: all, scoring: choice, metrics: [accuracy]"
    tasks = ", ".join(f"{name}: {{title: {name.upper()}, source: [{name}], {shape}}}" for name in names)
    return _STUDY.replace("SOURCES", sources).replace("TASKS", tasks).replace("SEEDS", str(seeds))
