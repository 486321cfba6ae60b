"""Studies for tests: small ones as text, and loaded ones with something changed, checked as a file's are.

A study that no file could hold proves nothing. So tests make theirs by `with_fields`, which checks them, and not by
pydantic's `model_copy`, which does not.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from pydantic import BaseModel

from regimen.errors import StudyError
from regimen.study import Study, dump_study, load_study
from regimen.study.consistency import faults_of
from regimen.study.schema import Experiment
from regimen.study.study import FULL

Value = TypeVar("Value", bound=BaseModel)

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


def with_fields(value: Value, /, **fields: Any) -> Value:
    """The study, or part of one, with these fields instead; raises what a study file would be refused with.

    Of a whole study the checks between its parts are made too. One with questions is loaded from a file, because
    contrasts are only checked when a file is read; the others are spared that tenth of a second.
    """
    made = type(value).model_validate(dict(value) | fields)
    if isinstance(made, Study):
        if faults := faults_of(made):
            raise StudyError(made.study, [f"{'.'.join(place)}: {fault}" for place, fault in faults])
        if made.questions:
            with TemporaryDirectory() as folder:
                path = Path(folder) / "study.yaml"
                path.write_text(dump_study(made), encoding="utf-8")
                assert load_study(path) == made, "the file says something else"
    return made


def with_experiments(study: Study, *experiments: Experiment, **fields: Any) -> Study:
    """The study with these experiments alone, without the questions and the gate that name its own."""
    return with_fields(
        study, **({"tracks": {FULL: ("*",)}, "questions": {}, "gate": None} | fields), experiments=experiments
    )
