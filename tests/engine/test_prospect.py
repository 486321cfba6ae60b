"""A base is known by its configuration alone; a study that asks too much of it is refused before its rows are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from regimen.cli.app import app
from regimen.engine.base_model import BaseModel
from regimen.engine.loading import load_base
from regimen.engine.locate import locate_base
from regimen.engine.prospect import prospect
from regimen.errors import ModelError
from regimen.study import load_study
from regimen.study.schema import Adapter
from tests.support.families import save_family

ASKED = [Adapter(), Adapter(targets=("q_proj", "v_proj"))]


@pytest.mark.parametrize("name", ["qwen2", "qwen3_moe", "gemma3"])
def test_the_configuration_alone_gives_what_the_loaded_base_gives(name: str, tmp_path: Path) -> None:
    folder = save_family(name, tmp_path)
    base: BaseModel = load_base(folder, "fp32")
    (folder / "model.safetensors").unlink()
    known = prospect(folder)
    assert (known.context, known.alone, known.experts) == (base.context, None, name == "qwen3_moe")
    for adapter in ASKED:
        assert known.reach(adapter) == pytest.approx(base.reach(adapter), rel=1e-12)
    assert (known.reach(Adapter()) < 0.6) == known.experts


def study_on(folder: Path, tmp_path: Path, **batch: Any) -> Path:
    """A study that fine-tunes a base on rows that nobody should read."""
    tiny = locate_base(load_study("qwen2-finance", "demo").base)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((tiny / name).read_bytes())
    (tmp_path / "rows.jsonl").write_text("this is no JSON\n")
    task = {"title": "T", "group": "g", "source": ["own"], "scoring": "generation", "metrics": ["exact-match"]}
    study = {
        "study": "early",
        "title": "Early",
        "base": {"id": str(folder), "origin": "folder", "precision": "fp32"},
        "batch": {"sequences": 2, "block": 32, **batch},
        "schedule": {"learning_rate": {"pretrain": 1e-3, "finetune": 1e-3}, "warmup_steps": 0},
        "sources": {
            "own": {
                "files": ["rows.jsonl"],
                "form": {"prompt": "{{ a }}", "answer": "{{ b }}"},
                "held_out": {"share": 0.5},
            }
        },
        "tasks": {"t": task | {"generation": {"tokens": 4}}},
        "experiments": [{"phase": "one", "title": "X", "steps": 4, "finetune": {"x": "own"}}],
    }
    path = tmp_path / "study.yaml"
    path.write_text(json.dumps(study))
    return path


@pytest.mark.parametrize(
    ("family", "batch", "words"),
    [
        ("lfm2", {}, "cannot keep apart texts that share a row"),
        ("qwen2", {"block": 256}, "a block of 256 tokens is longer than the 128 positions of the base"),
        ("rwkv", {}, "is not computed rightly here"),
    ],
)
def test_what_a_base_cannot_train_on_is_refused_before_rows_are_read(
    family: str, batch: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = study_on(save_family(family, tmp_path / "base"), tmp_path, **batch)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["run", str(path), "--out", str(out)])
    assert isinstance(done.exception, ModelError)
    assert done.exception.exit_code == 2
    assert words in str(done.exception)
    assert not out.exists()


def test_the_plan_says_how_much_of_a_base_with_experts_adapters_reach(tmp_path: Path) -> None:
    path = study_on(save_family("qwen3_moe", tmp_path / "base"), tmp_path)
    reach = json.loads(CliRunner().invoke(app, ["plan", str(path), "--json"]).stdout)["adapter_reach"]
    assert 0 < reach < 0.6
    shown = CliRunner().invoke(app, ["plan", str(path)]).stdout
    assert f"adapters sit on {reach:.1%}" in " ".join(shown.split())
