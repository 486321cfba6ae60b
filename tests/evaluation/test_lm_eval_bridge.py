"""Tasks of lm-evaluation-harness through our engine, beside the harness itself on the same model."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from regimen.data.tokenizer import TextTokenizer
from regimen.engine.adapter_bank import AdapterBank, initial_row
from regimen.engine.base_model import BaseModel
from regimen.errors import DataError, MachineError
from regimen.evaluation import harness
from regimen.evaluation.adapted_model import AdaptedModel
from regimen.evaluation.evaluator import evaluate
from regimen.evaluation.lm_eval_bridge import harness_items
from regimen.plan import compile_plan
from regimen.results import EvaluatedFacts, RunFolder, aggregate
from regimen.study import load_study
from regimen.study.schema import Adapter
from regimen.study.tasks import Task
from tests.support.harness import harness_model
from tests.support.inline_runs import assert_done, run_inline
from tests.support.studies import with_experiments, with_fields

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("lm_eval") is None, reason="the extra lm-eval is not installed"),
    pytest.mark.filterwarnings("ignore"),  # lm-eval's own
]

ROWS = [
    {"text": f"{name} {verb} {thing}", "kind": kind, "said": f"{name} {verb}"}
    for name in ("The bank", "A rival", "The fund", "Its owner")
    for verb, kind in (("gained", 0), ("lost", 1), ("kept", 2))
    for thing in ("a lot", "little today")
]
CHOICE = """
task: own_choice
dataset_path: json
dataset_kwargs: {{data_files: {{train: {file}, test: {file}}}}}
output_type: multiple_choice
training_split: train
test_split: test
fewshot_split: train
doc_to_text: "{{{{text}}}}\\nQuestion: Good or bad?\\nAnswer:"
doc_to_choice: ["very good", "bad", "neither of both"]
doc_to_target: kind
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
metadata: {{version: 1.0}}
"""
GENERATION = """
task: own_generation
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: generate_until
test_split: test
doc_to_text: "Say {{{{text}}}}:"
doc_to_target: said
generation_kwargs: {{until: ["\\n"], max_gen_toks: 12, do_sample: false}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
metadata: {{version: 1.0}}
"""
GREEDY = """
task: own_greedy
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: loglikelihood
test_split: test
doc_to_text: "{{{{text}}}} and"
doc_to_target: " {{{{said}}}}"
metric_list: [{{metric: perplexity}}, {{metric: acc}}]
metadata: {{version: 1.0}}
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "lm-eval").mkdir()
    for name, text in (("choice", CHOICE), ("generation", GENERATION), ("greedy", GREEDY)):
        (folder / "lm-eval" / f"{name}.yaml").write_text(text.format(file=file))
    return folder


@pytest.fixture(scope="module", autouse=True)
def only_own_tasks() -> Any:
    """The index of the harness's own thousands of tasks takes seconds to read."""
    from lm_eval.tasks import TaskManager

    plain = TaskManager.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TaskManager, "__init__", lambda self, **k: plain(self, **{**k, "include_defaults": False}))
        yield


def task_of(name: str, *metrics: str) -> Task:
    return Task.model_validate({"title": name, "group": "own", "lm_eval": name, "metrics": metrics})


def harness_says(folder: Path, here: Path, name: str, shots: int = 0) -> dict[str, Any]:
    """The harness's own evaluation of the bare model."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    rival = harness_model(folder, batch=4, max_length=512)
    found = simple_evaluate(
        rival, tasks=[name], num_fewshot=shots, bootstrap_iters=0, log_samples=True,
        task_manager=TaskManager(include_path=str(here / "lm-eval")),
    )  # fmt: skip
    assert found is not None
    return dict(found)


@pytest.mark.parametrize(
    ("name", "metrics", "shots"),
    [
        ("own_choice", ("acc", "acc_norm"), 0),
        ("own_choice", ("acc",), 2),
        ("own_generation", ("exact_match",), 0),
        ("own_greedy", ("acc",), 0),
    ],
)
def test_a_task_scores_as_the_harness_scores_it(
    name: str, metrics: tuple[str, ...], shots: int,
    here: Path, tiny_folder: Path, tiny: BaseModel, tokenizer: TextTokenizer,
) -> None:  # fmt: skip
    task = task_of(name, *metrics)
    items = harness_items(task, None, shots, here)
    assert len(items) == len(ROWS)
    results = evaluate(AdaptedModel(tiny, None, tokenizer), task, items, 512, None, here).results[0]
    theirs = harness_says(tiny_folder, here, name, shots)
    columns = {"values": [result.values for result in results]}
    for metric in metrics:
        ours = aggregate([f"lm-eval:{metric}"], columns)[f"lm-eval:{metric}"]
        assert ours == pytest.approx(theirs["results"][name][f"{metric},none"], abs=1e-9)
    samples = sorted(theirs["samples"][name], key=lambda sample: sample["doc_id"])
    for result, sample in zip(results, samples, strict=True):
        assert result.item_id == f"{name}:{sample['doc_id']}"
        answers = [response[0] for response in sample["resps"]]
        if name == "own_generation":
            assert result.text == answers[0]
        else:
            assert result.logprobs == pytest.approx([float(answer[0]) for answer in answers], abs=1e-3)


def test_all_adapters_are_answered_at_once(here: Path, tiny: BaseModel, tokenizer: TextTokenizer) -> None:
    task = task_of("own_choice", "acc")
    items = harness_items(task, 6, 0, here)
    assert [item.id for item in items] == [f"own_choice:{n}" for n in range(6)]
    generator = torch.Generator().manual_seed(1)
    rows = [initial_row(tiny, Adapter(), seed) for seed in range(2)]
    rows = [row + 0.02 * torch.randn(row.shape, generator=generator) for row in rows]
    model = AdaptedModel(tiny, AdapterBank(tiny, Adapter(), rows), tokenizer)
    both = evaluate(model, task, items, 512, None, here).results
    for row, found in zip(rows, both, strict=True):
        bank = AdapterBank(tiny, Adapter(), [row])
        alone = evaluate(AdaptedModel(tiny, bank, tokenizer), task, items, 512, None, here).results[0]
        for one, other in zip(alone, found, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
    assert both[0][0].logprobs != pytest.approx(both[1][0].logprobs, abs=1e-3)


def test_metrics_are_named_as_the_harnesss() -> None:
    task = Task.model_validate({"title": "t", "group": "g", "lm_eval": "arc_easy"})
    assert (task.scoring, task.metrics, task.headline) == ("lm-eval", ("lm-eval:acc",), "lm-eval:acc")
    assert Task.model_validate(task.model_dump()) == task
    with pytest.raises(ValueError, match="no `source`"):
        Task.model_validate({"title": "t", "group": "g", "lm_eval": "arc_easy", "source": ["x"]})
    with pytest.raises(ValueError, match="needs a `source`, or `lm_eval`"):
        Task.model_validate({"title": "t", "group": "g", "scoring": "choice", "metrics": ["accuracy"]})


@pytest.mark.parametrize(
    ("name", "metrics", "message"),
    [
        ("no_such_task", ("acc",), "has no task 'no_such_task'"),
        ("own_choice", ("f2",), "has no metric 'f2'; it has acc, acc_norm"),
        ("own_greedy", ("perplexity",), "not a mean over items"),
    ],
)
def test_what_cannot_be_run_is_refused_before_a_model_is_loaded(
    name: str, metrics: tuple[str, ...], message: str, here: Path
) -> None:
    with pytest.raises(DataError, match=message):
        harness_items(task_of(name, *metrics), None, 0, here)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"pip install 'regimen-lm\[lm-eval\]'"):
        harness_items(task_of("arc_easy", "acc"), None, 0, None)


def test_a_study_runs_a_harness_task_beside_its_own(here: Path, tmp_path: Path) -> None:
    demo = load_study("qwen2-finance", "demo")
    own = task_of("own_choice", "acc", "acc_norm")
    baseline = with_fields(next(e for e in demo.experiments if e.id == "1-sst2"), id="b", task="own")
    study = with_experiments(demo, baseline, tasks={**demo.tasks, "own": own})
    plan = compile_plan(study, tasks=["own"])
    assert_done(run_inline(plan, tmp_path, here=here))
    folder = RunFolder(tmp_path)
    scored = [o.facts for s in plan.stages.values() if (o := folder.outcome(s)) is not None]
    evaluated = {facts.shots: facts for facts in scored if isinstance(facts, EvaluatedFacts)}
    assert set(evaluated) == {0, 5}
    assert set(evaluated[0].metrics) == {"lm-eval:acc", "lm-eval:acc_norm"}
    assert evaluated[0].items == len(ROWS)
