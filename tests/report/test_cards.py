"""Model cards: metadata that the Hub's own reader takes, and only scores that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from regimen.plan import Plan
from regimen.report.model_card import model_card
from regimen.results import RunFolder
from regimen.results.tables import RunTables
from regimen.study import load_study
from tests.support import made_reports
from tests.support.studies import with_fields


def _metadata(card: str) -> Any:
    """The card's metadata as the Hub's client reads them; it sets their fields when it runs."""
    return ModelCard(card).data


def test_a_card_says_what_it_is_and_what_it_scored(finished: RunFolder, plan: Plan) -> None:
    tables = RunTables(finished, plan)
    text = model_card(tables, "3c-1-twitter-sentiment")
    data = _metadata(text)
    assert data.base_model == "regimen/tiny-qwen2"
    assert data.library_name == "peft"
    assert data.datasets == ["zeroshot/twitter-financial-news-sentiment"]
    assert "continuing `3c-1-financial-sentiment`" in text
    assert "made-up miniatures" in text
    assert data.eval_results is None, "scores on miniatures are none of the data sets'"
    value = tables.cells["3c-1-twitter-sentiment", "sst2"].metrics["accuracy"]
    zero = tables.zero_shot("sst2")
    assert zero is not None
    assert f"| GLUE SST-2 | accuracy | {value:.3f} | {zero.metrics['accuracy']:.3f} | {made_reports.ITEMS} |" in text
    assert "AutoPeftModelForCausalLM" in text
    assert "AutoPeftModelForCausalLM" not in model_card(tables, "3c-1-twitter-sentiment", merged=True)


def test_real_data_sets_get_their_results_in_the_metadata(tmp_path: Path) -> None:
    study = with_fields(load_study("qwen2-finance", "demo"), data="hub")
    plan = made_reports.few(study)
    folder = made_reports.run_of(plan, tmp_path / "run", items=4)
    tables = RunTables(folder, plan)
    results = _metadata(model_card(tables, "3a-sst2")).eval_results
    assert results is not None
    found = {(result.dataset_type, result.metric_type): result for result in results}
    sst2 = found["nyu-mll/glue", "accuracy"]
    assert (sst2.dataset_config, sst2.dataset_split, sst2.metric_args) == ("sst2", "validation", {"items": 4})
    assert sst2.metric_value == round(tables.cells["3a-sst2", "sst2"].metrics["accuracy"], 6)


def test_without_scores_it_says_not_yet_and_text_stays_text(tmp_path: Path) -> None:
    plan = made_reports.few(made_reports.hostile_study())
    folder = RunFolder(tmp_path / "run")
    folder.create(plan.study, plan, {})
    text = model_card(RunTables(folder, plan), "3a-sst2")
    assert "Not yet: no task has been evaluated." in text
    assert made_reports.HOSTILE not in text
    assert _metadata(text).base_model == "regimen/tiny-qwen2"
