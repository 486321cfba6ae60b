"""What leaves a run folder loads in PEFT and transformers, and says what it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import HfApi, ModelCard
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner

from regimen.cli.app import app
from regimen.engine.checkpoints import load_adapter
from regimen.engine.loading import load_base
from regimen.engine.locate import locate_base
from regimen.engine.merging import merge_row
from regimen.errors import ModelError, RunFolderError, UsageError
from regimen.plan import Plan, compile_plan
from regimen.study import load_study
from regimen.study.schema import Adapter, Experiment, Leg
from tests.support.inline_runs import run_inline
from tests.support.studies import with_experiments, with_fields

TOKENS = torch.arange(3, 23)[None]


def experiment(name: str, source: str | None = "glue-sst2", start: str | None = None, **more: Any) -> Experiment:
    legs = (Leg(kind="finetune", mixture={source: 100.0}, steps=12),) if source else ()
    return Experiment(id=name, phase="3A", title=f"About {name}", legs=legs, start_from=start, **more)


def plan_of(*experiments: Experiment, chain: str = "continue") -> Plan:
    study = load_study("qwen2-finance", "demo")
    schedule = with_fields(study.schedule, chain=chain)
    return compile_plan(with_experiments(study, *experiments, schedule=schedule), tasks=["sst2"], eval_items=8)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    """Two adapters, the second new on a base with the first merged in; a full fine-tuning; one that never ran."""
    full = experiment("whole", adapter=Adapter(method="full"), learning_rate=1e-3)
    plan = plan_of(
        experiment("one"), experiment("two", "imdb", start="one"), full,
        experiment("odd", adapter=Adapter(rank=2, alpha=6)), experiment("not-run", "glue-cola"),
        experiment("after-odd", "imdb", start="odd", adapter=Adapter(rank=4, alpha=32)), chain="merge_then_new",
    )  # fmt: skip
    out = tmp_path_factory.mktemp("done")
    run_inline(plan, out)
    for stage in plan.stages.values():
        if stage.label.startswith("not-run"):
            (out / "stages" / stage.folder / "DONE").unlink(missing_ok=True)
    return plan, out


def export(done: tuple[Plan, Path], name: str, to: Path, *more: str) -> str:
    result = CliRunner().invoke(app, ["export", name, "--run", str(done[1]), "--to", str(to), *more])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def load(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=TOKENS, use_cache=False).logits


def end_of(done: tuple[Plan, Path], name: str) -> Path:
    plan, out = done
    planned = next(p for p in plan.experiments if p.experiment.id == name)
    return out / "stages" / plan.stages[planned.ends[-1]].folder


def test_an_adapter_loads_in_peft_with_every_setting(done: tuple[Plan, Path], tmp_path: Path) -> None:
    export(done, "odd", tmp_path / "odd")
    config = json.loads((tmp_path / "odd" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("regimen/tiny-qwen2", None)
    assert (config["r"], config["lora_alpha"]) == (2, 6)
    assert len(config["target_modules"]) == 7
    base = locate_base(done[0].study.base)
    theirs = PeftModel.from_pretrained(load(base), tmp_path / "odd")
    own = load_base(base, "fp32")
    merge_row(own, Adapter(rank=2, alpha=6), load_adapter(end_of(done, "odd"), own, Adapter(rank=2, alpha=6)))
    torch.testing.assert_close(logits(theirs), logits(own.model), rtol=1e-4, atol=1e-4)
    card = ModelCard.load(tmp_path / "odd" / "README.md")
    assert card.data.to_dict()["base_model"] == "regimen/tiny-qwen2"
    assert card.data.to_dict()["library_name"] == "peft"
    for text in (
        "# About odd",
        "| r | 2 |",
        "| alpha | 6 |",
        "| target modules | all-linear |",
        "| base revision | main |",
    ):
        assert text in card.text
    assert len(AutoTokenizer.from_pretrained(tmp_path / "odd")("some text")["input_ids"]) > 0


def test_a_chain_of_merged_adapters_is_one_model(done: tuple[Plan, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sits on a base into which 1 adapters were merged.* use --merged"):
        export(done, "two", tmp_path / "two")
    assert not (tmp_path / "two").exists()
    export(done, "two", tmp_path / "two", "--merged")
    whole = load(tmp_path / "two")
    own = load_base(locate_base(done[0].study.base), "fp32")
    for name in ("one", "two"):
        merge_row(own, Adapter(), load_adapter(end_of(done, name), own, Adapter()))
    torch.testing.assert_close(logits(whole), logits(own.model), rtol=1e-5, atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["two"], "no scratch is left"


def test_each_merged_end_keeps_its_own_rank_and_scale(done: tuple[Plan, Path], tmp_path: Path) -> None:
    export(done, "after-odd", tmp_path / "whole", "--merged")
    theirs = load(tmp_path / "whole")
    own = load_base(locate_base(done[0].study.base), "fp32")
    for name, adapter in (("odd", Adapter(rank=2, alpha=6)), ("after-odd", Adapter(rank=4, alpha=32))):
        merge_row(own, adapter, load_adapter(end_of(done, name), own, adapter))
    torch.testing.assert_close(logits(theirs), logits(own.model), rtol=1e-5, atol=1e-5)


def test_a_full_fine_tuning_is_a_model(done: tuple[Plan, Path], tmp_path: Path) -> None:
    export(done, "whole", tmp_path / "whole")
    mine = load(tmp_path / "whole")
    torch.testing.assert_close(logits(mine), logits(load(end_of(done, "whole"))))
    assert "full fine-tuning" in (tmp_path / "whole" / "README.md").read_text()


def test_its_tasks_go_along_for_the_harness(done: tuple[Plan, Path], tmp_path: Path) -> None:
    said = export(done, "one", tmp_path / "one", "--lm-eval")
    folder = tmp_path / "one" / "lm-eval"
    assert f"sst2: {folder / 'regimen_sst2.yaml'}" in said
    task = yaml.safe_load((folder / "regimen_sst2.yaml").read_text())
    rows = [json.loads(line) for line in Path(task["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()]
    plan, out = done
    items = next(s for s in plan.stages.values() if s.kind == "items" and s.label.startswith("sst2"))
    asked = [json.loads(line) for line in (out / "stages" / items.folder / "items.jsonl").read_text().splitlines()]
    assert [(row["id"], row["prompt"]) for row in rows] == [(item["id"], item["prompt"]) for item in asked]


def test_what_cannot_be_exported_is_said(done: tuple[Plan, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no experiment 'ones'; there is one"):
        export(done, "ones", tmp_path / "x")
    with pytest.raises(RunFolderError, match="not-run is not trained yet in"):
        export(done, "not-run", tmp_path / "x")
    with pytest.raises(RunFolderError, match="is no run folder"):
        export((done[0], tmp_path), "one", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("precious")
    with pytest.raises(UsageError, match="exists and is not an empty folder"):
        export(done, "one", tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").read_text() == "precious"


def test_sending_it_to_the_hub(done: tuple[Plan, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    monkeypatch.setattr(HfApi, "create_repo", lambda self, name, **more: sent.append(name))
    monkeypatch.setattr(HfApi, "upload_folder", lambda self, **more: sent.append(str(more["folder_path"])))
    assert "https://huggingface.co/me/one" in export(done, "one", tmp_path / "one", "--push", "me/one")
    assert sent == ["me/one", str(tmp_path / "one")]

    def refused(self: HfApi, name: str, **more: Any) -> None:
        raise OSError("no token")

    monkeypatch.setattr(HfApi, "create_repo", refused)
    with pytest.raises(ModelError, match=r"could not be sent to 'me/again' \(no token\); it is whole on disk"):
        export(done, "one", tmp_path / "again", "--push", "me/again")
    assert (tmp_path / "again" / "adapter_model.safetensors").is_file()
