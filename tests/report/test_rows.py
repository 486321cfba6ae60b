"""Rows and leakage in the report: shares of tokens, epochs, test items with twins, scores without them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regimen.plan import EvaluateSpec, ItemsSpec, Plan, PrepareSpec, Stage, TrainSpec
from regimen.report.run_report import write_report
from regimen.results import PreparedFacts, RunFolder
from regimen.results.rows import token_shares
from tests.support.inline_runs import change_facts
from tests.support.made_reports import Page, packed_data


def prepared(blocks: int, tokens: int, loss_tokens: int) -> PreparedFacts:
    return PreparedFacts(folder="any", blocks=blocks, tokens=tokens, loss_tokens=loss_tokens)


def test_shares_of_tokens_by_hand() -> None:
    blocks = {"long": prepared(10, 600, 600), "short": prepared(5, 100, 20)}
    long = token_shares({"long": 1.0, "short": 3.0}, blocks)["long"]
    assert (long.sequences, long.tokens, long.loss_tokens) == (0.25, 0.5, pytest.approx(60 / 72))
    assert token_shares({"long": 1.0, "other": 1.0}, blocks) == {}, "no share of a whole that is not known"


@given(st.lists(st.tuples(st.floats(0.1, 100), st.integers(1, 50), st.integers(1, 64)), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_shares_are_of_one_whole(drawn: list[tuple[float, int, int]]) -> None:
    mixture = {str(i): weight for i, (weight, _, _) in enumerate(drawn)}
    blocks = {str(i): prepared(n, n * t, n) for i, (_, n, t) in enumerate(drawn)}
    shares = token_shares(mixture, blocks)
    for what in ("sequences", "tokens", "loss_tokens"):
        assert sum(getattr(share, what) for share in shares.values()) == pytest.approx(1)


def change(folder: RunFolder, stage: Stage, **facts: Any) -> None:
    change_facts(folder.folder(stage), **facts)


def test_the_page_tells_what_each_experiment_took_and_how_scores_stand_without_twins(
    finished: RunFolder, plan: Plan, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, folder.path)
    planned = next(p for p in plan.experiments if p.experiment.id == "3c-6-glue")
    sizes = {"glue-cola": (40, 10), "glue-sst2": (60, 15), "glue-mrpc": (50, 20)}
    for stage in plan.stages.values():
        if isinstance(stage, PrepareSpec) and stage.source_name in sizes:
            tokens, loss = sizes[stage.source_name]
            facts = {"rows": 33, "documents": 30, "blocks": 5, "tokens": 5 * tokens, "loss_tokens": 5 * loss}
            change(folder, stage, **facts, drops={"duplicate": 3})
        elif isinstance(stage, ItemsSpec) and stage.task_name == "sst2" and stage.purpose == "score":
            change(folder, stage, items=40, twins=6)
    last = plan.stages[planned.ends[-1]]
    assert isinstance(last, TrainSpec)
    change(folder, last, epochs={"glue-mrpc": 3.25})
    scored = plan.stages[planned.evaluations["sst2"]]
    assert isinstance(scored, EvaluateSpec)
    change(folder, scored, twins=6, metrics_without_twins={"accuracy": 0.4321, "f1": 0.1})
    page = write_report(folder, plan)
    recipes, table = packed_data(page, "recipes"), packed_data(page, "results")
    assert [leg["epochs"] for leg in recipes["3c-6-glue"]["legs"] if leg["source"] == "glue-mrpc"] == [3.25]
    alone = {row["id"]: table["scores"]["sst2"]["accuracy"]["alone"][place] for place, row in enumerate(table["rows"])}
    assert {name: value for name, value in alone.items() if value is not None} == {"3c-6-glue": 0.4321}
    text = Page(page.read_text(encoding="utf-8")).text
    assert "glue-mrpc finetune 33 30 in 5 blocks 3 duplicate 250 100" in text
    assert "task items with a near twin sst2 40 6" in text


def test_of_one_source_all_tokens_are_its_own(finished: RunFolder, plan: Plan, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, folder.path)
    for stage in plan.stages.values():
        if isinstance(stage, PrepareSpec) and stage.source_name == "glue-sst2":
            change(folder, stage, blocks=5, tokens=300, loss_tokens=75)
    [leg] = packed_data(write_report(folder, plan), "recipes")["3a-sst2"]["legs"]
    assert [leg[share] for share in ("share", "tokens", "loss_tokens")] == [1.0, 1.0, 1.0]
