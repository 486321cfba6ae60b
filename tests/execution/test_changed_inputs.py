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
from tests.support.row_files import write
from tests.support.small_runs import run_small, small_plan, small_study


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study in it and, in `out`, its finished run; the study's base is named by its full path."""
    home = tmp_path_factory.mktemp("finished")
    summary, _ = run_small(small_plan(small_study(home)), home / "out", home)
    assert summary.experiments["done"] == 2, summary.failures
    return home


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the rows in a mirror of the Hub, `mirror`."""
    home = tmp_path_factory.mktemp("mirrored")
    plan = small_plan(small_study(home, sources=ON_THE_HUB))
    (home / "mirror" / "org" / "a").mkdir(parents=True)
    (home / "a.jsonl").rename(home / "mirror" / "org" / "a" / "train.jsonl")
    summary, _ = run_small(plan, home / "out", home, data=home / "mirror")
    assert summary.experiments["done"] == 2, summary.failures
    return home


@pytest.fixture(scope="module")
def hubbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same with the rows on a Hub whose commit stands in the file `commit`."""
    home = tmp_path_factory.mktemp("hubbed")
    plan = small_plan(small_study(home, sources=ON_THE_HUB))
    (home / "commit").write_text("1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regimen.data.sources._hub_rows", lambda *given: iter(rows_in(home)))
        patch.setattr("regimen.stages.inputs._commit", lambda *given: (home / "commit").read_text())
        summary, _ = run_small(plan, home / "out", home)
        assert summary.experiments["done"] == 2, summary.failures
        yield home


@pytest.fixture
def home(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A finished folder, by default that of own files; inputs are put back afterwards, runs are made on copies."""
    folder: Path = request.getfixturevalue(getattr(request, "param", "finished"))
    inputs = [path for path in folder.rglob("*") if path.is_file() and folder / "out" not in path.parents]
    kept = {path: path.read_bytes() for path in inputs}
    yield folder
    for path, content in kept.items():
        if path.read_bytes() != content:
            path.write_bytes(content)


def copied(home: Path, tmp_path: Path) -> Path:
    shutil.copytree(home / "out", tmp_path / "out")
    return tmp_path / "out"


def rows_file(home: Path) -> Path:
    mirror = home / "mirror" / "org" / "a" / "train.jsonl"
    return mirror if mirror.is_file() else home / "a.jsonl"


def rows_in(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in rows_file(home).read_text().splitlines()]


def change_rows(home: Path) -> None:
    write(rows_file(home), [{**row, "y": 1 - row["y"]} for row in rows_in(home)])


def change_commit(home: Path) -> None:
    change_rows(home)
    (home / "commit").write_text("2")


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


ORDER = ("prepare", "items", "train", "evaluate")
CHANGES = {
    "the labels of a data file": ("finished", change_rows, "source a, train \\(own file\\): a.jsonl", set(ORDER)),
    "a file of a mirror": ("mirrored", change_rows, "source a, train \\(mirror\\): org/a/train.jsonl", set(ORDER)),
    "the commit of a data set on the Hub": ("hubbed", change_commit, "\\(Hub\\): org/a at main", set(ORDER)),
    "the base's weights": ("finished", change_weights, "model.safetensors", {"train", "evaluate"}),
    "the tokenizer": ("finished", change_tokenizer, "tokenizer.json", {"prepare", "evaluate"}),
    "the generation settings": ("finished", change_generation, "generation_config.json", {"evaluate"}),
}
WHEN = ("finished", "under way", "cache emptied")


def done_again(plan: Plan, before: Path, after: Path) -> set[str]:
    """The kinds of stages that were done again, or that were not there."""
    was, now = (RunFolder(out).read(plan).outcomes for out in (before, after))
    return {now[name].kind for name in plan.stages if name not in was or was[name].started != now[name].started}


@pytest.mark.parametrize(
    ("name", "when", "home"),
    # the Hub is asked for its commit only when something is left to do
    [(name, when, home) for name, (home, *_) in CHANGES.items() for when in WHEN[home == "hubbed" :]],
    indirect=["home"],
)
def test_a_changed_input_is_refused_then_redone_when_asked(
    name: str, when: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, change, words, expected = CHANGES[name]
    out, plan, data = copied(home, tmp_path), small_plan(home / "study.yaml"), home / "mirror"
    mirror = data if data.is_dir() else None
    kinds = set(expected)
    if when != "finished":
        shutil.rmtree(next(out.glob("stages/evaluate-direct-*")))
        kinds.add("evaluate")
    if when == "cache emptied":
        monkeypatch.setenv("REGIMEN_CACHE", str(tmp_path / "empty"))
        kinds |= {"prepare"} if "train" in kinds else set()
    change(home)
    before = sorted(path for path in out.rglob("*") if path.name not in (".lock", ".digests.json"))
    with pytest.raises(DataError, match=f"{words} has changed since .* --accept-changed"):
        run_small(plan, out, home, data=mirror)
    assert sorted(p for p in out.rglob("*") if p.name not in (".lock", ".digests.json")) == before, "nothing written"
    summary, said = run_small(plan, out, home, accept_changed=True, data=mirror)
    assert summary.exit_code == 0
    assert any("is done again" in note for note in said)
    assert done_again(plan, home / "out", out) == kinds
    again, said = run_small(plan, out, home, data=mirror)
    assert (again.worked, said) == (0, []), "the new inputs are those recorded"


TASK = {"title": "B", "group": "g", "source": ["a"], "scoring": "choice", "metrics": ["accuracy"]}
FORM = {"prompt": "{{ review }}\nGood?", "label": {"column": "y", "names": ["no", "yes"]}}
ON_THE_HUB = {"a": {"hub": "org/a", "form": FORM, "held_out": {"share": 0.3}}}
OWN = {"files": ["a.jsonl"], "form": FORM, "held_out": {"share": 0.3}}
TESTED = {"files": ["b.jsonl"], "split": None, "form": FORM, "held_out": {"files": ["b.jsonl"]}}


def grown(task: dict[str, Any]) -> dict[str, Any]:
    return {"tasks": {"a": {**TASK, "title": "A"}, "b": task}}


STUDY_CHANGES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a prompt": ({"sources": {"a": {**OWN, "form": {**FORM, "prompt": "{{ review }}\nWell?"}}}}, set(ORDER)),
    "a metric added": ({"tasks": {"a": {**TASK, "title": "A", "metrics": ["accuracy", "macro-f1"]}}}, {"evaluate"}),
    "a task added": (
        {"sources": {"a": OWN, "b": TESTED}, **grown({**TASK, "source": ["b"]})},
        {"prepare", "items", "evaluate"},
    ),
    "a task added whose items were trained on": (
        {"sources": {"a": OWN, "b": TESTED}, **grown({**TASK, "source": ["b"]})},
        set(ORDER),
    ),
}


@pytest.mark.parametrize("name", STUDY_CHANGES)
def test_a_changed_study_does_what_is_new_and_keeps_the_rest(name: str, home: Path, tmp_path: Path) -> None:
    changes, kinds = STUDY_CHANGES[name]
    out = copied(home, tmp_path)
    write(tmp_path / "a.jsonl", rows_in(home))
    leaked = "trained on" in name
    others = [{"review": f"nothing of the kind, {n * 7919 % 613} times", "y": n % 2} for n in range(9)]
    write(tmp_path / "b.jsonl", rows_in(home)[:9] if leaked else others)
    shutil.copytree(home / "base", tmp_path / "base")
    base = {"id": str(home / "base"), "origin": "folder", "precision": "fp32"}
    plan = small_plan(small_study(tmp_path, base=base, **changes))
    summary, said = run_small(plan, out, tmp_path)
    assert summary.exit_code == 0, summary.failures
    assert done_again(plan, home / "out", out) == kinds
    assert any("test items of b" in note for note in said) == leaked
    kept = results_files(home / "out").items()
    assert kept <= (results_files(out) | results_files(out, "set-aside")).items(), "no result is lost"


def results_files(out: Path, under: str = "stages") -> dict[str, bytes]:
    names = ("items.parquet", "adapter_model.safetensors")
    return {str(path.relative_to(out / under)): path.read_bytes() for n in names for path in out.glob(f"{under}/*/{n}")}


def test_the_page_says_what_is_redone() -> None:
    page = (ROOT / "docs" / "what-is-redone.md").read_text(encoding="utf-8")
    kinds = {name: kinds for name, (*_, kinds) in CHANGES.items()}
    for found in (kinds, {name: kinds for name, (_, kinds) in STUDY_CHANGES.items()}):
        rows = [f"| {name} | {', '.join(k for k in ORDER if k in kinds)} |" for name, kinds in found.items()]
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
    run_small(small_plan(study, only=[baseline]), out, home)
    assert RunFolder(out).settings()["compile"]["only"] == ["direct", baseline]
    whole = copied(home, tmp_path / "other")
    run_small(small_plan(study, only=["direct"]), whole, home)
    assert RunFolder(whole).settings()["compile"]["only"] == []
