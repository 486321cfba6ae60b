"""The gate decides by its rule, waits for what it rests on, and says what to adjust."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from regimen.analysis.gate import gate_decision
from regimen.analysis.records import to_json
from regimen.analysis.rules import Rules
from regimen.plan import compile_plan
from regimen.results.tables import RunTables
from regimen.study import load_study
from tests.support.simulated_runs import simulate, without

RULES = Rules(seed=1, resamples=500, swaps=1999)


def decide(tables: RunTables) -> dict[str, Any]:
    """The decision as `gate --json` prints it."""
    return to_json(gate_decision(tables, RULES))


def test_a_track_that_gains_is_promising_with_its_numbers(fast_run: RunTables) -> None:
    found = decide(fast_run)
    assert found["decision"] == "promising"
    beats = [e for e in found["evidence"] if e["kind"] == "beats zero-shot"]
    assert [e["experiment"] for e in beats] == [e.id for e in fast_run.plan.study.track("fast") if e.kind == "finetune"]
    assert len(beats) == 10
    won = [e for e in beats if e["holds"]]
    assert len(won) >= 2
    assert all(e["p_adjusted"] <= 0.05 and e["low"] <= e["estimate"] <= e["high"] and e["n"]["items"] for e in won)
    # nothing of the study is scored on rows of what this one was trained on
    assert next(e for e in beats if e["experiment"] == "3b-financial-general")["status"] == "not identifiable"
    best = found["evidence"][-1]
    assert best["kind"] == "relative gain"
    assert best["experiment"] in {e["experiment"] for e in won}
    ways = {way["task"]: way for way in best["tasks"]}
    assert ways["topic"]["to"] == "the TF-IDF line"
    assert ways["financial-qa"]["target"] == 1.0
    assert best["value"] == pytest.approx(sum(way["gain"] for way in ways.values()) / 5)


def test_the_way_to_the_line_by_hand(fast_run: RunTables) -> None:
    best = decide(fast_run)["evidence"][-1]
    cells = fast_run.cells
    for way in best["tasks"]:
        zero = fast_run.zero_shot(way["task"])
        assert zero is not None
        score = cells[best["experiment"], way["task"]].metrics[zero.headline]
        base = zero.metrics[zero.headline]
        assert way["gain"] == pytest.approx((score - base) / (way["target"] - base))


@pytest.mark.parametrize("gone", ["3b-all-qa", "1-topic", "3c-6-glue"])
def test_it_waits_for_every_experiment_it_rests_on(fast_run: RunTables, gone: str) -> None:
    found = decide(without(fast_run, [gone]))
    assert found["decision"] == "not yet"
    assert "missing" in found["next"]


def test_pretraining_of_the_track_is_not_asked_for(fast_run: RunTables) -> None:
    assert decide(without(fast_run, ["2b-fiqa-10k"]))["decision"] == "promising"


def test_it_waits_for_the_tfidf_line(fast_run: RunTables) -> None:
    less = copy.copy(fast_run)
    less.outcomes = {name: o for name, o in fast_run.outcomes.items() if o.kind != "items"}
    found = decide(less)
    assert found["decision"] == "not yet"
    assert "the TF-IDF line of financial-sentiment" in found["next"]


def test_a_track_that_gains_nothing_is_not_promising_and_says_what_to_adjust(tmp_path: Path) -> None:
    plan = compile_plan(load_study("qwen2-finance", "demo"), track="fast")
    tables = simulate(tmp_path / "run", plan, lambda end, task: 0.4 if end == "zero-shot" else 0.35, items=20)
    found = decide(tables)
    assert found["decision"] == "not promising"
    assert found["next"].startswith("Adjust before the full track: ")
    # the traces of this run still fall at their end, and scores are below zero-shot
    fields = {item["field"] for item in found["adjust"]}
    assert "steps" in fields
    assert all(item["evidence"] for item in found["adjust"])


def test_an_empty_run_is_not_yet(fast_run: RunTables) -> None:
    found = decide(without(fast_run, lambda cell: True))
    assert found["decision"] == "not yet"
    assert all(e["status"] != "tested" for e in found["evidence"])
