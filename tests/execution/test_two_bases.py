"""Two bases in one study: blocks and scores by base, the same items, each compared with itself as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from regimen import compile_plan, load_study, open_run
from regimen.analysis.evidence import Evidence
from regimen.analysis.experiment_comparison import compare_experiments
from regimen.engine.locate import locate_base
from regimen.errors import StudyError
from regimen.plan import EvaluateSpec, ItemsSpec, PrepareSpec
from regimen.results.tables import RunTables
from regimen.study import EndPoint, Pair
from tests.support.checkout import ROOT
from tests.support.inline_runs import assert_done, run_inline

EXAMPLES = ROOT / "examples"
BASES = "[{id: regimen/tiny-qwen2, origin: packaged, precision: fp32}, {id: OTHER, origin: folder, precision: fp32}]"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One training from each of two bases, the second a copy of the first with other weights."""
    folder = tmp_path_factory.mktemp("bases")
    first = locate_base(load_study(EXAMPLES / "reviews.yaml").base)
    other = folder / "Other.Base"
    shutil.copytree(first, other)
    weights = load_file(first / "model.safetensors")
    generator = torch.Generator().manual_seed(1)
    for name, value in weights.items():
        if value.dim() > 1:
            weights[name] = value + 0.05 * torch.randn(value.shape, generator=generator).to(value.dtype)
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    text = (EXAMPLES / "reviews.yaml").read_text()
    head, tail = text[: text.index("experiments:")], BASES.replace("OTHER", str(other))
    shutil.copytree(EXAMPLES / "data", folder / "data")
    (folder / "study.yaml").write_text(
        head + "experiments:\n"
        '  - {phase: zero-shot, title: "Zero-shot: {task}", baseline: [reviews]}\n'
        f"  - {{phase: direct, title: Direct, steps: 8, finetune: {{direct: reviews}}, vary: {{base: {tail}}}}}\n"
    )
    plan = compile_plan(load_study(folder / "study.yaml"), tasks=["reviews"], eval_items=40)
    assert_done(run_inline(plan, folder / "run", here=folder))
    return folder / "run"


def test_the_bases_have_one_set_of_items_and_blocks_of_their_own(run: Path) -> None:
    plan = open_run(run).plan
    assert [e.experiment.id for e in plan.experiments] == ["1-reviews", "direct~tiny-qwen2", "direct~other.base"]
    stages = list(plan.stages.values())
    assert len({s.base.id for s in stages if isinstance(s, PrepareSpec)}) == 2
    scored = {s.items for s in stages if isinstance(s, EvaluateSpec)}
    assert len(scored) == 1
    assert all(isinstance(plan.stages[name], ItemsSpec) for name in scored)
    trunks = [stage.shape for stage in plan.trainings() if stage.part == "trunk"]
    assert len(set(trunks)) == 2, "one base a cohort"


def test_each_is_compared_with_its_own_base_as_it_is(run: Path) -> None:
    opened = open_run(run)
    frame = opened.results()
    rows = frame[frame.metric == "accuracy"].set_index("experiment")
    assert set(rows.index) == {"1-reviews", "direct~tiny-qwen2", "direct~other.base", "zero-shot~other.base"}
    assert rows.value["zero-shot~other.base"] != rows.value["1-reviews"]
    assert rows.baseline["direct~other.base"] == rows.value["zero-shot~other.base"]
    assert rows.baseline["direct~tiny-qwen2"] == rows.value["1-reviews"]
    assert rows.base["direct~other.base"].endswith("Other.Base")
    evidence = Evidence(RunTables(opened.folder, opened.plan))
    gain = evidence.gain("direct~other.base", "zero-shot", "reviews")
    assert gain is not None
    assert gain.point == pytest.approx(rows.delta["direct~other.base"])
    across = Pair(of=EndPoint("direct~other.base"), against=EndPoint("direct~tiny-qwen2"), task="reviews")
    assert evidence.pair_state(across) == "there", "trained models of two bases are compared on the same items"


def test_a_base_that_is_not_there_is_refused_before_anything_is_written(run: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from regimen.cli.app import app

    text = (run.parent / "study.yaml").read_text().replace("Other.Base", "gone")
    (run.parent / "gone.yaml").write_text(text)
    done = CliRunner().invoke(app, ["run", str(run.parent / "gone.yaml"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2 or done.exception is not None
    assert not (tmp_path / "out").exists()


def test_a_chain_keeps_to_its_base(tmp_path: Path) -> None:
    text = (EXAMPLES / "reviews.yaml").read_text()
    text = text.replace(
        "{id: reviews, finetune: reviews, steps: 30}\n",
        "{id: reviews, finetune: reviews, steps: 30}\n"
        "  - {phase: further, id: onward, title: Onward, start_from: notes-first-notes, "
        "base: {id: other, origin: folder}, "
        "legs: [{finetune: reviews, steps: 3}]}\n",
    )
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(StudyError, match="'onward' continues 'notes-first-notes' on another base .other instead of"):
        load_study(tmp_path / "study.yaml")


def test_perplexity_is_no_headline_over_two_bases(tmp_path: Path) -> None:
    text = (EXAMPLES / "two-bases.yaml").read_text()
    text = text.replace("metrics: [bits-per-byte]", "metrics: [perplexity, bits-per-byte]")
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(StudyError, match=r"line \d+.*perplexity comes first, but .* the tokenizer .*tiny-llama"):
        load_study(tmp_path / "study.yaml")


def test_texts_that_two_tokenizers_cut_apart_are_not_compared(tmp_path: Path) -> None:
    """With a context that no note fits into, each base was scored on other bytes: that is said, and nothing tested."""
    shutil.copytree(EXAMPLES / "data", tmp_path / "data")
    text = (EXAMPLES / "two-bases.yaml").read_text().replace("context: 512", "context: 32")
    (tmp_path / "study.yaml").write_text(text.replace("steps: 30", "steps: 2").replace("seeds: 2\n", ""))
    plan = compile_plan(load_study(tmp_path / "study.yaml"), only=["read*"], tasks=["notes"], eval_items=8)
    assert_done(run_inline(plan, tmp_path / "run", here=tmp_path))
    opened = open_run(tmp_path / "run")
    evidence = Evidence(RunTables(opened.folder, opened.plan))
    pair = Pair(of=EndPoint("read~tiny-qwen2"), against=EndPoint("read~tiny-llama"), task="notes")
    assert evidence.pair_state(pair) == "missing"
    (why,) = evidence.lacking([pair])
    assert "two tokenizers cut them at different places" in why
    (row,) = compare_experiments(evidence, "read~tiny-qwen2", "read~tiny-llama", ["notes"]).tasks
    assert row.status == "refused"
    own = Pair(of=EndPoint("read~tiny-llama"), against=EndPoint.base(), task="notes")
    assert evidence.pair_state(own) == "there", "with its own base it was scored on the same bytes"
