"""An adapter that PEFT made: scored, gone on from and merged as PEFT computes it; what does not fit is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from regimen.data.blocks import BlockStore
from regimen.data.items import read_items
from regimen.data.mixture import Mixture
from regimen.engine.locate import locate_base
from regimen.errors import ModelError, StudyError
from regimen.files import cache_home
from regimen.plan import AdapterSpec, EvaluateSpec, Plan, PrepareSpec, TrainSpec, compile_plan
from regimen.results import PreparedFacts, RunFolder, TrainedFacts, layout
from regimen.results.tables import RunTables
from regimen.stages.blocks import blocks_folder
from regimen.stages.given_checks import check_given_adapters
from regimen.study import Study, load_study
from regimen.study.schema import Base
from tests.support.inline_runs import outcome_facts
from tests.support.small_runs import run_small, small_plan, small_study

RANK, ALPHA, TARGETS = 3, 12, ["q_proj", "down_proj"]
SETTINGS = {"rank": RANK, "alpha": ALPHA, "targets": TARGETS}
START = {"adapter": "mine", "base": "regimen/tiny-qwen2"}


def base_folder() -> Path:
    return locate_base(Base(id="regimen/tiny-qwen2", origin="packaged"))


def base_model() -> Any:
    return AutoModelForCausalLM.from_pretrained(base_folder(), dtype=torch.float32)


def made(folder: Path, **more: Any) -> Path:
    """An adapter of PEFT's with factors that are all other than zero."""
    torch.manual_seed(5)
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, lora_dropout=0.1, task_type="CAUSAL_LM", **more
    )
    model = get_peft_model(base_model(), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(str(folder))
    return folder


def study_of(folder: Path, *experiments: dict[str, Any], **changes: Any) -> Path:
    return small_study(
        folder,
        experiments=[{"phase": "base", "title": "{task}", "baseline": "every-task"}, *experiments],
        **changes,
    )


def one(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "phase": "given", "title": f"Title of {name}", "start_from": START, **more}


LEGS = {"legs": [{"finetune": "a", "steps": 3}]}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    folder = tmp_path_factory.mktemp("given")
    made(folder / "mine")
    study = study_of(
        folder,
        one("as-it-is"),
        one("on", adapter=SETTINGS, **LEGS),
        one("new", schedule={"chain": "merge_then_new"}, **LEGS),
        {"phase": "given", "title": "Group", "steps": 3, "finetune": {"group": "a"}, "start_from": START,
         "adapter": SETTINGS, "vary": {"learning_rate": [1e-3, 1e-2]}},
    )  # fmt: skip
    plan = small_plan(study)
    summary, _ = run_small(plan, folder / "run", folder)
    assert summary.exit_code == 0, summary.failures
    return plan, folder / "run"


def stage_of(plan: Plan, label: str, kind: type) -> Any:
    return next(stage for stage in plan.stages.values() if isinstance(stage, kind) and stage.label == label)


def by_peft(run: Path) -> Any:
    return PeftModel.from_pretrained(base_model(), run.parent / "mine").eval()


def test_scores_are_those_of_the_model_that_peft_loads(done: tuple[Plan, Path]) -> None:
    plan, run = done
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    stage = stage_of(plan, "as-it-is-a", EvaluateSpec)
    folder = RunFolder(run)
    rows = pq.read_table(folder.folder(stage).path / layout.ITEM_ROWS).to_pylist()
    items = {item.id: item for item in read_items(folder.folder(plan.stages[stage.items]).path / layout.ITEMS)}
    model = by_peft(run)
    tokenizer = Tokenizer.from_file(
        str(locate_base(Base(id="regimen/tiny-qwen2", origin="packaged")) / "tokenizer.json")
    )
    for row in rows[:6]:
        item = items[row["item_id"]]
        for choice, ours in zip(item.choices, row["logprobs"], strict=True):
            prompt, whole = tokenizer.encode(item.prompt).ids, tokenizer.encode(item.prompt + choice).ids
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([whole])).logits.log_softmax(-1)[0]
            theirs = sum(float(logits[at - 1, whole[at]]) for at in range(len(prompt), len(whole)))
            assert ours == pytest.approx(theirs, abs=2e-4)


@pytest.mark.parametrize("label", ["on", "new"])
def test_the_first_loss_is_that_of_the_model_that_peft_loads(done: tuple[Plan, Path], label: str) -> None:
    """Both the adapter that is trained on and the new one, whose product is zero, on the base with the other merged."""
    plan, run = done
    leg = stage_of(plan, f"{label}-trunk", TrainSpec).leg
    (name,) = leg.sources.values()
    facts = outcome_facts(plan, run, name, PreparedFacts)
    store = BlockStore(blocks_folder(facts, cache_home()))
    batch = Mixture({"a": store}, leg.mixture, leg.batch.sequences, leg.seed).batch(0)
    model, losses = by_peft(run), []
    for tokens, positions, wanted in zip(batch.tokens, batch.positions, batch.loss, strict=True):
        ids, places = (torch.from_numpy(np.array(one)).long()[None] for one in (tokens, positions))
        with torch.no_grad():
            logits = model(input_ids=ids, position_ids=places, use_cache=False).logits[0, :-1].log_softmax(-1)
        own = -logits[torch.arange(len(tokens) - 1), ids[0, 1:]]
        losses += own[torch.from_numpy(np.array(wanted))[1:]].tolist()
    first = outcome_facts(plan, run, stage_of(plan, f"{label}-trunk", TrainSpec).fingerprint, TrainedFacts).first_loss
    assert first == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_it_is_a_row_of_results_and_no_zero_shot(done: tuple[Plan, Path]) -> None:
    plan, run = done
    tables = RunTables(RunFolder(run), plan)
    rows = {row.experiment: row for row in tables.rows()}
    assert rows["as-it-is"].baseline == rows["1-a"].value
    assert rows["as-it-is"].adapter.startswith("adapter-")
    trained = {planned.experiment.id for planned in plan.experiments if planned.trainings}
    assert "as-it-is" not in trained
    assert trained == {"on", "new", "group~lr1e-3", "group~lr1e-2"}
    adapters = [stage for stage in plan.stages.values() if isinstance(stage, AdapterSpec)]
    assert len(adapters) == 1, "taken in once"


def test_a_report_names_it(done: tuple[Plan, Path]) -> None:
    from typer.testing import CliRunner

    from regimen.cli.app import app

    _, run = done
    report = CliRunner().invoke(app, ["report", str(run)])
    assert report.exit_code == 0, report.output
    page = (run / layout.REPORT / layout.PAGE).read_text()
    assert "Title of as-it-is" in page
    assert CliRunner().invoke(app, ["plan", str(run.parent / "study.yaml")]).exit_code == 0
    compared = CliRunner().invoke(app, ["compare", "on", "zero-shot", "--run", str(run)])
    assert compared.exit_code == 0, compared.output
    assert "the adapter mine" in compared.stdout


def loaded(folder: Path, *experiments: dict[str, Any]) -> Study:
    return load_study(study_of(folder, *experiments))


FAULTS: list[tuple[dict[str, Any], str]] = [
    (
        one("x", **LEGS),
        r"goes on with the adapter 'mine' by other settings \(rank 4 instead of 3, alpha 8 instead of 12",
    ),
    (one("x", adapter={**SETTINGS, "targets": ["q_proj"]}, **LEGS), "targets q_proj instead of down_proj.q_proj"),
    (one("x", start_from={"adapter": "other"}), "line .*there is no folder 'other' beside the study"),
    (one("x", start_from={"folder": "mine"}), "`start_from` is an experiment's id or {adapter"),
    (one("x", adapter={"method": "full"}, **LEGS), "trains all weights .method full., which goes on from no adapter"),
    (one("x", task="a"), "a baseline .`task`. is the base as it is; leave `task` out"),
]


@pytest.mark.parametrize(("experiment", "message"), FAULTS, ids=[str(n) for n in range(len(FAULTS))])
def test_what_does_not_fit_is_refused_when_the_study_is_loaded(
    done: tuple[Plan, Path], tmp_path: Path, experiment: dict[str, Any], message: str
) -> None:
    shutil.copytree(done[1].parent / "mine", tmp_path / "mine")
    with pytest.raises(StudyError, match=message):
        loaded(tmp_path, experiment)


def test_another_base_is_refused_by_name_and_by_shape(done: tuple[Plan, Path], tmp_path: Path) -> None:
    shutil.copytree(done[1].parent / "mine", tmp_path / "mine")
    config = json.loads((tmp_path / "mine" / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "org/model"
    (tmp_path / "mine" / "adapter_config.json").write_text(json.dumps(config))
    start = {"adapter": "mine"}
    packaged = {"id": "regimen/tiny-qwen2", "origin": "packaged", "precision": "fp32"}
    with pytest.raises(StudyError, match="was trained on 'org/model' and the base here is 'regimen/tiny-qwen2'"):
        load_study(study_of(tmp_path, one("x", start_from=start), base=packaged))
    llama = {**packaged, "id": "regimen/tiny-llama"}
    study = load_study(study_of(tmp_path, one("x", start_from={**start, "base": llama["id"]}), base=llama))
    with pytest.raises(ModelError, match="does not fit the base 'regimen/tiny-llama': it sits on .* weights of"):
        check_given_adapters(compile_plan(study), tmp_path, None, ())


def test_an_adapter_that_changes_is_another_start(done: tuple[Plan, Path], tmp_path: Path) -> None:
    shutil.copytree(done[1].parent / "mine", tmp_path / "mine")
    before = compile_plan(loaded(tmp_path, one("x")))
    weights = tmp_path / "mine" / "adapter_model.safetensors"
    tensors = {name: tensor + 0.01 for name, tensor in load_file(weights).items()}
    save_file(tensors, weights)
    with pytest.raises(ModelError, match="has changed since the study was loaded"):
        check_given_adapters(before, tmp_path, None, ())
    after = compile_plan(loaded(tmp_path, one("x")))
    ends = [plan.experiments[-1].evaluations["a"] for plan in (before, after)]
    assert ends[0] != ends[1]
    moved = tmp_path / "moved"
    (tmp_path / "mine").rename(moved)
    elsewhere = compile_plan(loaded(tmp_path, one("x", start_from={"adapter": "moved"})))
    assert elsewhere.experiments[-1].evaluations["a"] == ends[1], "where it lies is no part of what it is"


BROKEN = [
    ({"use_dora": True}, "has `use_dora: True`, which is not computed here"),
    ({"init_lora_weights": "pissa"}, "has `init_lora_weights: 'pissa'`"),
    ({"peft_type": "IA3"}, "is of the kind 'IA3'; only LORA"),
    ({"r": 5}, "has rank 3, and its configuration says 5"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[str(n) for n in range(len(BROKEN))])
def test_what_is_no_plain_lora_is_refused(
    done: tuple[Plan, Path], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    shutil.copytree(done[1].parent / "mine", tmp_path / "mine")
    path = tmp_path / "mine" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StudyError, match=message):
        loaded(tmp_path, one("x"))


def test_pickles_and_cut_files_are_refused(done: tuple[Plan, Path], tmp_path: Path) -> None:
    shutil.copytree(done[1].parent / "mine", tmp_path / "mine")
    weights = tmp_path / "mine" / "adapter_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:40])
    with pytest.raises(StudyError, match="is damaged: it is no safetensors file"):
        loaded(tmp_path, one("x"))
    weights.rename(weights.with_name("adapter_model.bin"))
    with pytest.raises(StudyError, match=r"adapter_model.bin is a pickle, which is never read"):
        loaded(tmp_path, one("x"))


def test_a_written_study_is_read_without_the_adapter(done: tuple[Plan, Path], tmp_path: Path) -> None:
    plan, run = done
    shutil.copy(run / layout.STUDY, tmp_path / "study.yaml")
    assert load_study(tmp_path / "study.yaml") == plan.study
    assert "given" in yaml.safe_load((tmp_path / "study.yaml").read_text())["experiments"][1]
    prepared = {stage.source_name for stage in plan.stages.values() if isinstance(stage, PrepareSpec)}
    assert prepared == {"a"}
