"""Inputs that change under a run folder: refused in a sentence, or redone as far as they matter and no further."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from regimen.errors import DataError, RegimenError
from regimen.plan import Plan
from regimen.results import RunFolder
from tests.support.checkout import ROOT
from tests.support.small_runs import run_small, small_plan, small_study


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study in it and, in `out`, its finished run; the study's base is named by its full path."""
    home = tmp_path_factory.mktemp("finished")
    summary, _ = run_small(small_plan(small_study(home)), home / "out", home)
    assert summary.experiments["done"] == 2, summary.failures
    return home


@pytest.fixture
def home(finished: Path) -> Iterator[Path]:
    """The finished folder; inputs are put back afterwards, runs are made on copies of `out`."""
    kept = {path: path.read_bytes() for path in [finished / "a.jsonl", *(finished / "base").iterdir()]}
    yield finished
    for path, content in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)
    small_study(finished)


def copied(home: Path, tmp_path: Path) -> Path:
    shutil.copytree(home / "out", tmp_path / "out")
    return tmp_path / "out"


def change_rows(home: Path) -> None:
    rows = [json.loads(line) for line in (home / "a.jsonl").read_text().splitlines()]
    rows = [{**row, "y": 1 - row["y"]} for row in rows]
    (home / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def change_weights(home: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    path = home / "base" / "model.safetensors"
    tensors = {name: value + torch.full_like(value, 1e-3) for name, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def change_tokenizer(home: Path) -> None:
    path = home / "base" / "tokenizer.json"
    path.write_text(path.read_text() + "\n")


def change_generation(home: Path) -> None:
    path = home / "base" / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "top_k": 7}))


EVERY = {"prepare", "items", "train", "evaluate"}
CHANGES = {
    "the labels of a data file": (
        change_rows,
        "source a, train \\(own file\\): a.jsonl",
        {"prepare", "items", "train", "evaluate"},
    ),
    "the base's weights": (change_weights, "model.safetensors", {"train", "evaluate"}),
    "the tokenizer": (change_tokenizer, "tokenizer.json", {"prepare", "evaluate"}),
    "the generation settings": (change_generation, "generation_config.json", {"evaluate"}),
}


def done_again(plan: Plan, before: Path, after: Path) -> set[str]:
    """The kinds of stages that were done again."""
    was, now = (RunFolder(out).read(plan).outcomes for out in (before, after))
    return {now[name].kind for name in plan.stages if was[name].started != now[name].started}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_input_is_refused_then_redone_when_asked(name: str, home: Path, tmp_path: Path) -> None:
    change, words, kinds = CHANGES[name]
    out, plan = copied(home, tmp_path), small_plan(home / "study.yaml")
    change(home)
    before = sorted(path for path in out.rglob("*") if path.name not in (".lock", ".digests.json"))
    with pytest.raises(DataError, match=f"{words} has changed since .* --accept-changed"):
        run_small(plan, out, home)
    assert sorted(p for p in out.rglob("*") if p.name not in (".lock", ".digests.json")) == before, "nothing written"
    summary, said = run_small(plan, out, home, accept_changed=True)
    assert summary.exit_code == 0
    assert any("is done again" in note for note in said)
    assert done_again(plan, home / "out", out) == kinds
    again, said = run_small(plan, out, home)
    assert (again.worked, said) == (0, []), "the new inputs are those recorded"


def test_the_page_says_what_is_redone() -> None:
    page = (ROOT / "docs" / "what-is-redone.md").read_text(encoding="utf-8")
    order = ("prepare", "items", "train", "evaluate")
    rows = [f"| {name} | {', '.join(k for k in order if k in kinds)} |" for name, (_, _, kinds) in CHANGES.items()]
    assert "\n".join(rows) in page


def test_a_changed_row_is_noticed_after_the_cache_was_emptied_too(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copied(home, tmp_path)
    monkeypatch.setenv("REGIMEN_CACHE", str(tmp_path / "empty"))
    longer = {"phase": "direct", "title": "Longer", "steps": 8, "finetune": {"longer": "a"}}
    plan = small_plan(small_study(home, experiments=[*load(home)["experiments"], longer]))
    change_rows(home)
    with pytest.raises(RegimenError, match="has changed since"):
        run_small(plan, out, home)


def test_blocks_are_made_again_with_the_recorded_digest(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = copied(home, tmp_path)
    monkeypatch.setenv("REGIMEN_CACHE", str(tmp_path / "empty"))
    longer = {"phase": "direct", "title": "Longer", "steps": 8, "finetune": {"longer": "a"}}
    plan = small_plan(small_study(home, experiments=[*load(home)["experiments"], longer]))
    summary, said = run_small(plan, out, home)
    assert (summary.exit_code, said) == (0, [])
    was, now = (RunFolder(folder).read(plan).outcomes for folder in (home / "out", out))
    for name, outcome in was.items():
        assert now[name].content == outcome.content


def load(home: Path) -> dict[str, Any]:
    return yaml.safe_load((home / "study.yaml").read_text())


@pytest.mark.parametrize("how", ["renamed", "reordered", "inserted"])
def test_a_study_that_says_the_same_otherwise_does_nothing_again(how: str, home: Path, tmp_path: Path) -> None:
    out = copied(home, tmp_path)
    base, direct = load(home)["experiments"]
    more = {"phase": "direct", "title": "More", "learning_rate": 0.02, "steps": 2, "finetune": {"more": "a"}}
    experiments = {
        "renamed": [base, {**direct, "finetune": {"other-name": "a"}}],
        "reordered": [direct, base],
        "inserted": [base, more, direct],
    }[how]
    plan = small_plan(small_study(home, experiments=experiments))
    summary, said = run_small(plan, out, home)
    assert said == []
    assert summary.exit_code == 0
    was = RunFolder(home / "out").read(plan).outcomes
    new = set(plan.stages) - set(was)
    assert summary.worked == len(new)
    assert (how == "inserted") == bool(new)
    assert RunFolder(out).read(plan).damaged == {}


def test_only_adds_to_what_was_asked_for(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = home / "study.yaml"
    baseline = small_plan(study).experiments[0].experiment.id
    run_small(small_plan(study, only=["direct"]), out, home)
    assert RunFolder(out).settings()["compile"]["only"] == ["direct"]
    run_small(
        small_plan(
            study, only=["base-*", "a"] if False else [p.experiment.id for p in small_plan(study).experiments][:1]
        ),
        out,
        home,
    )
    assert RunFolder(out).settings()["compile"]["only"] == ["direct", baseline]
    whole = copied(home, tmp_path / "other")
    run_small(small_plan(study, only=["direct"]), whole, home)
    assert RunFolder(whole).settings()["compile"]["only"] == []
