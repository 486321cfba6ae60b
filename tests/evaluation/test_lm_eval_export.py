"""Our tasks in lm-evaluation-harness: it reads the same prompts and comes to the same scores."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import pytest

from regimen.data.cleaning import Drops
from regimen.data.items import Item, build_items
from regimen.data.sources import Where
from regimen.data.tokenizer import TextTokenizer
from regimen.engine.base_model import BaseModel
from regimen.errors import DataError
from regimen.evaluation.adapted_model import AdaptedModel
from regimen.evaluation.evaluator import evaluate
from regimen.evaluation.item_results import ItemResult
from regimen.evaluation.lm_eval_export import export_task
from regimen.study import Study, load_study
from tests.support.harness import harness_model

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="the extra lm-eval is not installed"),
    pytest.mark.filterwarnings("ignore"),  # lm-eval's own
]


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study("qwen2-finance", "demo")


def items_of(study: Study, name: str, cap: int, shots: int = 0) -> list[Item]:
    task = study.tasks[name]
    sources = {source: study.sources[source] for source in study.sources}
    return build_items(task, sources, cap, 1, Where("miniature"), Drops(), shots)


def harness_says(folder: Path, yaml_folder: Path, name: str) -> dict[str, Any]:
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    rival = harness_model(folder, batch=4, max_length=512)
    manager = TaskManager(include_path=str(yaml_folder), include_defaults=False)
    found = simple_evaluate(rival, tasks=[name], bootstrap_iters=0, log_samples=True, task_manager=manager)
    assert found is not None
    return dict(found)


def ours(study: Study, name: str, items: list[Item], tiny: BaseModel, tokenizer: TextTokenizer) -> list[ItemResult]:
    return evaluate(AdaptedModel(tiny, None, tokenizer), study.tasks[name], items, 512, None).results[0]


@pytest.mark.parametrize(("name", "shots"), [("topic", 0), ("sst2", 2)])
def test_a_closed_task(
    name: str, shots: int, study: Study, tmp_path: Path, tiny_folder: Path, tiny: BaseModel, tokenizer: TextTokenizer
) -> None:
    items = items_of(study, name, 12, shots)
    export_task(name, study.tasks[name], items, tmp_path)
    theirs = harness_says(tiny_folder, tmp_path, f"regimen_{name}")
    results = ours(study, name, items, tiny, tokenizer)
    right = sum(result.score for result in results) / len(results)
    assert theirs["results"][f"regimen_{name}"]["acc,none"] == pytest.approx(right)
    samples = sorted(theirs["samples"][f"regimen_{name}"], key=lambda sample: sample["doc_id"])
    for result, sample in zip(results, samples, strict=True):
        assert sample["doc"]["id"] == result.item_id
        found = [float(response[0][0]) for response in sample["resps"]]
        assert result.logprobs == pytest.approx(found, abs=1e-3)


def test_an_open_task(
    study: Study, tmp_path: Path, tiny_folder: Path, tiny: BaseModel, tokenizer: TextTokenizer
) -> None:
    items = items_of(study, "conversational-qa", 8)
    export_task("conversational-qa", study.tasks["conversational-qa"], items, tmp_path)
    theirs = harness_says(tiny_folder, tmp_path, "regimen_conversational_qa")
    samples = sorted(theirs["samples"]["regimen_conversational_qa"], key=lambda sample: sample["doc_id"])
    for result, sample in zip(ours(study, "conversational-qa", items, tiny, tokenizer), samples, strict=True):
        said = sample["resps"][0][0]
        assert result.text is not None
        assert result.text.startswith(said.strip()) or not said.strip()
    assert "exact_match,strip" in theirs["results"]["regimen_conversational_qa"]


def test_texts(study: Study, tmp_path: Path, tiny_folder: Path, tiny: BaseModel, tokenizer: TextTokenizer) -> None:
    items = [item for item in items_of(study, "text-math", 12) if len(tokenizer.encode(item.answer)) < 400]
    export_task("text-math", study.tasks["text-math"], items, tmp_path)
    theirs = harness_says(tiny_folder, tmp_path, "regimen_text_math")["results"]["regimen_text_math"]
    results = ours(study, "text-math", items, tiny, tokenizer)
    bits = sum(r.nats for r in results) / math.log(2) / sum(r.bytes for r in results)
    assert theirs["bits_per_byte,none"] == pytest.approx(bits, abs=1e-3)


def test_programs_are_not_exported(study: Study, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sandbox"):
        export_task("code", study.tasks["code"], [], tmp_path)
    assert not list(tmp_path.iterdir())
