"""Our tasks as tasks of lm-evaluation-harness: a YAML and a file of rendered items each.

Owns the files. The harness then scores the very prompts and choices that we score. Does not know models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from regimen.data.items import Item
from regimen.errors import DataError
from regimen.files import write_text
from regimen.study.tasks import Task

PREFIX = "regimen_"


def export_task(name: str, task: Task, items: Sequence[Item], folder: Path) -> Path:
    """Writes `regimen_NAME.yaml` and `regimen_NAME.jsonl` to `folder`; returns the YAML's path.

    `lm_eval --include_path FOLDER --tasks regimen_NAME` runs it. Closed tasks are scored by `acc`, open ones by the
    harness's `exact_match` without regard to case and punctuation, texts by bits per byte; our own metrics of the
    same rows may differ and are in the run folder. Raises DataError for programs, which the harness would run without
    a sandbox, and for tasks that are the harness's own.
    """
    if task.scoring in ("execution", "lm-eval"):
        why = "is the harness's own" if task.lm_eval else "runs generated code, and the harness has no sandbox"
        raise DataError(f"the task {name!r} cannot be exported to lm-evaluation-harness: it {why}")
    folder.mkdir(parents=True, exist_ok=True)
    known = PREFIX + name.replace("-", "_")
    rows = folder / f"{known}.jsonl"
    write_text(rows, "".join(json.dumps(_row(item), ensure_ascii=False) + "\n" for item in items))
    config = {
        "task": known,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(rows.resolve())}},
        "test_split": "test",
        "target_delimiter": "",
        "num_fewshot": 0,
        **_scoring(task),
        "metadata": {"version": task.version},
    }
    file = folder / f"{known}.yaml"
    write_text(file, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return file


def _row(item: Item) -> dict[str, object]:
    """Answers and choices begin with the blank that joins them to the prompt, as they were trained."""
    prompt = "".join(item.shots) + item.prompt
    return {
        "id": item.id,
        "prompt": prompt,
        "answer": item.answer,
        "choices": list(item.choices),
        "target": item.target,
    }


def _scoring(task: Task) -> dict[str, object]:
    if task.scoring == "choice":
        return {
            "output_type": "multiple_choice",
            "doc_to_text": "{{prompt}}",
            "doc_to_choice": "choices",
            "doc_to_target": "target",
            "metric_list": [{"metric": "acc"}],
        }
    if task.scoring == "text":
        metrics = ("bits_per_byte", "byte_perplexity")
        return {
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": "{{answer}}",
            "metric_list": [{"metric": metric} for metric in metrics],
        }
    assert task.generation is not None
    options = {"until": list(task.generation.stop), "max_gen_toks": task.generation.tokens, "do_sample": False}
    strip = {"function": "regex", "regex_pattern": r"(?s)^\s*(.*?)\s*$", "group_select": 0}
    metric = {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
    return {
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answer.strip()}}",
        "generation_kwargs": options,
        "filter_list": [{"name": "strip", "filter": [strip, {"function": "take_first"}]}],
        "metric_list": [{**metric, "ignore_case": True, "ignore_punctuation": True}],
    }
