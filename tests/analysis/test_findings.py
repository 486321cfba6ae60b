"""findings.json: its shape, what it says of planted effects, and that it never answers without data."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from regimen.analysis import evidence as evidence_module
from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.findings import findings
from regimen.analysis.results_table import result_rows, results_table
from regimen.analysis.rules import Rules
from regimen.plan import Plan, compile_plan
from regimen.results.tables import COLUMNS, RunTables
from tests.support.simulated_runs import simulate, without

RULES = Rules(seed=1, resamples=400, swaps=3999)
FEW = Rules(seed=1, resamples=60, swaps=199)
SCHEMA = json.loads((resources.files("regimen.analysis") / "findings.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True, scope="module")
def _read_once() -> Iterator[None]:
    """The same rows are read for every test of this file; what is read does not change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence_module, "read_rows", cache(evidence_module.read_rows))
        yield


def findings_of(tables: RunTables, rules: Rules) -> dict[str, Any]:
    evidence = Evidence(tables, rules)
    return findings(evidence, exploratory_grid(evidence)).to_json()


@pytest.fixture(scope="module")
def found(full_run: RunTables) -> dict[str, Any]:
    return findings_of(full_run, RULES)


def check(document: dict[str, Any]) -> None:
    json.dumps(document, allow_nan=False)
    faults = [
        f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
        for e in Draft202012Validator(SCHEMA).iter_errors(document)
    ]
    assert not faults


def test_the_schema_is_one_and_refuses_a_verdict_of_its_own() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    question = {"id": "RQ1", "question": "?", "verdict": "probably", "summary": "so it is", "contrasts": []}
    assert list(Draft202012Validator(SCHEMA["$defs"]["question"] | {"$defs": SCHEMA["$defs"]}).iter_errors(question))


def test_a_whole_run_follows_the_schema(found: dict[str, Any]) -> None:
    check(found)
    assert [q["id"] for q in found["questions"]] == ["RQ1", "RQ2", "RQ3", "RQ4", "RQ5"]


def test_every_declared_contrast_is_there_with_its_numbers(found: dict[str, Any]) -> None:
    by_question = {q["id"]: q["contrasts"] for q in found["questions"]}
    assert {name: len(contrasts) for name, contrasts in by_question.items()} == {
        "RQ1": 13, "RQ2": 13, "RQ3": 105, "RQ4": 0, "RQ5": 0,
    }  # fmt: skip
    for contrast in (c for contrasts in by_question.values() for c in contrasts):
        if contrast["status"] == "tested":
            assert contrast["low"] <= contrast["estimate"] <= contrast["high"]
            assert contrast["n"]["items"] >= 40
            assert f"n = {contrast['n']['items']:,} items" in contrast["statement"]
    out = {c["id"] for c in by_question["RQ2"] if c["status"] == "not identifiable"}
    assert out == {"rq2-mixture:3b-financial-general", "rq2-mixture:3b-instruction"}


def test_planted_skills_come_out(found: dict[str, Any]) -> None:
    """Fine-tuned models were made better than pretrained ones and than zero-shot; code and math gain nothing."""
    clear = {unit["task"] for unit in found["units"] if unit["clear"]}
    assert {"financial-sentiment", "tweet-sentiment", "imdb", "sst2"} <= clear
    assert "code" not in clear
    rows = {row["strategy"]: row for row in found["taxonomy"]}
    tuned = [rows[name]["mean_normalised_gain"] for name in ("direct fine-tuning", "multi-task", "sequential")]
    assert min(tuned) > rows["domain pretraining"]["mean_normalised_gain"] > 0
    assert rows["zero-shot"]["mean_normalised_gain"] == 0
    answers = {q["id"]: q for q in found["questions"]}
    assert answers["RQ4"]["verdict"] == "not identifiable"
    assert answers["RQ4"]["summary"].startswith("Not identifiable as designed: ")
    cells = {row["strategy"]: row for row in answers["RQ4"]["strategies"]}
    assert cells["sequential"]["trained_on_share"] == pytest.approx(8 / 30)
    assert cells["direct fine-tuning"]["trained_on_share"] == pytest.approx(7 / 100)
    assert {group["title"] for group in answers["RQ2"]["rankings"]} == {"Fine-tuning mixtures", "General corpora"}
    assert "Forward transfer between fine-tuned tasks: " in answers["RQ3"]["summary"]
    assert answers["RQ5"]["verdict"] == "not identifiable"  # rows that the package makes were given to no other model


def test_no_no_without_an_upper_bound_below_the_margin(found: dict[str, Any], fast_run: RunTables) -> None:
    for question in (*found["questions"], *findings_of(fast_run, FEW)["questions"]):
        tested = [c for c in question["contrasts"] if c["status"] == "tested"]
        if question["verdict"] == "no" and tested:
            assert all(c["inner_high"] < c["margin"] for c in tested)
        for contrast in tested:
            if contrast["outcome"] == "equivalent":
                assert -contrast["margin"] < contrast["inner_low"] <= contrast["inner_high"] < contrast["margin"]


def test_every_sentence_on_models_that_were_trained_once_says_so(found: dict[str, Any]) -> None:
    for contrast in (c for question in found["questions"] for c in question["contrasts"] if c["status"] == "tested"):
        assert contrast["runs"] == 1, "the controls with further seeds are not in this run"
        assert contrast["statement"].startswith("In this one run, ")
        once = "Both sides were trained once" in contrast["statement"]
        assert once == all("zero-shot" not in (p["of"], p["against"]) for p in contrast["pairs"])
    for branch in (b for node in found["tree"] for b in node["branches"] if b.get("leader")):
        assert "in this one run, " in branch["statement"]
        assert "chosen on the test items that it is judged on" in branch["statement"]


def test_a_recommendation_below_the_trained_line_says_so(full_plan: Plan, tmp_path: Path) -> None:
    """The simulated TF-IDF line is 0.7; fine-tuned models reach 0.75 of the items in one run and 0.5 in the other."""
    few = compile_plan(full_plan.study, only=["1-*", "3a-sst2"], tasks=["sst2"])
    for level, below in ((0.95, False), (0.5, True)):

        def skill(end: str, task: str, level: float = level) -> float:
            return 0.2 if end == "zero-shot" else level

        tables = simulate(tmp_path / str(level), few, skill, items=120)
        recipes = [r for r in findings_of(tables, FEW)["recipes"] if r["task"] == "sst2" and r["recipe"] == "3a-sst2"]
        assert recipes
        for recipe in recipes:
            assert ("below the trained TF-IDF line of 0.700" in recipe["statement"]) == below
            assert recipe.get("line_above") == (0.7 if below else None)
            assert ": in this one run, 3a-sst2: " in recipe["statement"]


def test_gains_in_the_matrix_are_the_cells_differences(found: dict[str, Any], full_run: RunTables) -> None:
    entry = next(e for e in found["transfer"] if e["experiment"] == "3a-imdb" and e["tested_on"] == "sst2")
    zero = full_run.zero_shot("sst2")
    assert zero is not None
    wanted = full_run.cells["3a-imdb", "sst2"].metrics["accuracy"] - zero.metrics["accuracy"]
    assert entry["delta"] == pytest.approx(wanted)
    own = full_run.cells["3a-sst2", "sst2"].metrics["accuracy"] - zero.metrics["accuracy"]
    assert entry["rate"] == pytest.approx(wanted / own)
    assert entry["rate_low"] < entry["rate"] < entry["rate_high"]
    # nobody learned code, so there is nothing for a rate to be a share of
    assert all(e["rate"] is None for e in found["transfer"] if e["tested_on"] == "code")


def test_chains_hold_every_stage_and_gems_measures(found: dict[str, Any], full_run: RunTables) -> None:
    chains = {chain["chain"]: chain for chain in found["chains"]}
    assert set(chains) == {"3c-1-twitter-sentiment", "3c-2-financial-qa", "3c-3-sentiment", "3c-4-financial-qa",
                           "3c-5-task-specific", "3c-6-glue"}  # fmt: skip
    first = chains["3c-1-twitter-sentiment"]
    assert [stage["end"] for stage in first["stages"]] == ["3c-1-imdb", "3c-1-financial-sentiment", first["chain"]]
    last = full_run.cells
    back = [
        last[first["chain"], task].metrics[metric] - last[stage, task].metrics[metric]
        for stage, task, metric in (
            ("3c-1-imdb", "imdb", "accuracy"),
            ("3c-1-financial-sentiment", "financial-sentiment", "macro-f1"),
        )
    ]
    assert first["backward_transfer"] == pytest.approx(sum(back) / 2)
    declared = {c["id"]: c for q in found["questions"] for c in q["contrasts"]}
    contrast = declared["rq3-backward:3c-1-twitter-sentiment"]
    assert contrast["estimate"] == pytest.approx(first["backward_transfer"])
    # sequence 6 by its legs: CoLA after the first, SST-2 after the second
    assert [stage["end"] for stage in chains["3c-6-glue"]["stages"]] == ["3c-6-glue@1", "3c-6-glue@2", "3c-6-glue"]
    assert chains["3c-6-glue"]["backward_transfer"] == pytest.approx(declared["rq3-backward:3c-6-glue"]["estimate"])


def test_the_tree_names_a_strategy_for_each_kind_and_budget(found: dict[str, Any]) -> None:
    kinds = {node["kind"]: node for node in found["tree"]}
    assert set(kinds) == {"classification", "written answers", "code"}
    branches = kinds["classification"]["branches"]
    assert branches[0]["statement"].startswith(f"classification, under {branches[0]['budget_gpu_hours']:g} GPU-hours: ")
    assert sorted(b["budget_gpu_hours"] for b in branches) == [b["budget_gpu_hours"] for b in branches]
    assert kinds["code"]["branches"] == []
    cheap = {row["budget_gpu_hours"]: row for row in found["recipes"] if row["task"] == "imdb"}
    assert all(row["gpu_hours"] <= budget for budget, row in cheap.items())


def test_a_run_over_the_72_answers_only_what_its_design_can(found: dict[str, Any]) -> None:
    """What an earlier reading of the demo got wrong: a universal recipe, transfer without fine-tuning, easy noes."""
    answers = {question["id"]: question for question in found["questions"]}
    assert answers["RQ4"]["verdict"] == "not identifiable"
    assert answers["RQ4"]["summary"].startswith("Not identifiable as designed")
    for words in ("headline", "summary"):
        assert "forward transfer between fine-tuned tasks" in answers["RQ3"][words].lower()
    for question in found["questions"]:
        tested = [one for one in question["contrasts"] if one["status"] == "tested"]
        if question["verdict"] == "no" and not question.get("rankings"):
            assert all(one["inner_high"] < one["margin"] for one in tested)
        assert all(
            one["inner_low"] > -one["margin"] and one["inner_high"] < one["margin"]
            for one in tested
            if one["outcome"] == "equivalent"
        )


def test_equal_inputs_give_equal_bytes(fast_run: RunTables) -> None:
    one, other = (json.dumps(findings_of(fast_run, FEW), sort_keys=True) for _ in range(2))
    assert one == other


def test_the_fast_track_answers_nothing_but_the_gate(fast_run: RunTables) -> None:
    found = findings_of(fast_run, FEW)
    check(found)
    verdicts = {q["id"]: q["verdict"] for q in found["questions"]}
    assert verdicts == {"RQ1": "not yet", "RQ2": "not yet", "RQ3": "not yet", "RQ4": "not identifiable",
                        "RQ5": "not identifiable"}  # fmt: skip
    assert found["gate"]["decision"] in ("promising", "not promising")


def test_an_empty_run_says_not_yet_everywhere(full_run: RunTables) -> None:
    found = findings_of(without(full_run, lambda cell: True), FEW)
    check(found)
    assert {q["verdict"] for q in found["questions"]} <= {"not yet", "not identifiable"}
    assert found["gate"]["decision"] == "not yet"
    assert all(row["mean_normalised_gain"] is None for row in found["taxonomy"])


EXPERIMENTS = st.sets(st.integers(0, 71), max_size=72)


@pytest.mark.slow
@given(gone=EXPERIMENTS, tasks=st.sets(st.sampled_from(["imdb", "topic", "text-general", "cola", "code", "ner"])))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deleting_experiments_never_breaks_it_and_never_yields_a_verdict(
    full_run: RunTables, gone: set[int], tasks: set[str]
) -> None:
    names = [planned.experiment.id for planned in full_run.plan.experiments]
    lost = {names[number] for number in gone}
    less = without(full_run, lambda cell: cell.experiment in lost or cell.task in tasks)
    found = findings_of(less, FEW)
    check(found)
    for question in found["questions"]:
        rests_on = {
            (end.partition("@")[0], pair["task"])
            for contrast in question["contrasts"]
            for pair in contrast["pairs"]
            for end in (pair["of"], pair["against"])
        }
        lacking = any(
            end in lost or task in tasks or (end == "zero-shot" and less.zero_shot(task) is None)
            for end, task in rests_on
        )
        if lacking:
            assert question["verdict"] == "not yet"
            assert question["summary"].startswith("Not yet: ")
        if question["id"] == "RQ4" and (gone or tasks & {"imdb", "topic", "code", "ner"}):
            assert question["verdict"] in ("not yet", "not identifiable")
        for contrast in question["contrasts"]:
            ends = {p[side].partition("@")[0] for p in contrast["pairs"] for side in ("of", "against")}
            if ends & lost:
                assert contrast["status"] == "not yet"


def test_a_skipped_task_is_named_and_not_waited_for(full_run: RunTables) -> None:
    less = without(full_run, lambda cell: False)
    less.cells = {
        key: dataclasses.replace(cell, skipped="no sandbox", metrics={}) if cell.task == "code" else cell
        for key, cell in full_run.cells.items()
    }
    found = findings_of(less, FEW)
    contrasts = {c["id"]: c for q in found["questions"] for c in q["contrasts"]}
    contrast = contrasts["rq3-cross-domain:2c-gsm8k-10k"]
    assert contrast["status"] == "tested"
    assert "code was skipped" in contrast["note"]
    assert all(q["verdict"] != "not yet" for q in found["questions"])


def test_damaged_item_rows_are_left_out_and_named(fast_run: RunTables, tmp_path: Any) -> None:
    less = without(fast_run, lambda cell: False)
    broken = dataclasses.replace(less.cells["3a-financial-qa", "imdb"], folder=tmp_path)
    less.cells = less.cells | {("3a-financial-qa", "imdb"): broken}
    found = findings_of(less, FEW)
    problems = [(p["end"], p["task"]) for p in found["method"]["problems"]]
    assert problems == [("3a-financial-qa", "imdb")]
    assert not [e for e in found["transfer"] if (e["experiment"], e["tested_on"]) in problems]


def test_rows_carry_intervals_and_corrected_p_values(full_run: RunTables) -> None:
    evidence = Evidence(full_run, FEW)
    grid = exploratory_grid(evidence)
    rows = [dataclasses.asdict(row) for row in result_rows(evidence, grid)]
    headline = [row for row in rows if row["primary"] and row["phase"] not in ("1",)]
    assert headline
    for row in headline:
        assert row["ci_low"] <= row["value"] <= row["ci_high"] or math.isclose(row["ci_low"], row["ci_high"])
        assert row["delta"] == pytest.approx(row["value"] - row["baseline"])
        assert 0 < row["p_value"] <= row["p_adjusted"] <= 1
    assert all(row["p_value"] is None for row in rows if not row["primary"])
    assert all(row["ci_low"] is not None for row in rows)
    from statsmodels.stats.multitest import multipletests

    tested = [row for row in rows if row["p_value"] is not None]
    assert len(tested) == len({(r["experiment"], r["task"]) for r in tested})
    # the grid also holds the ends of inner legs, which have no rows of their own
    corrected: Any = multipletests([cell.p for cell in grid.values()], method="fdr_bh")[1]
    wanted = dict(zip(grid, corrected, strict=True))
    assert all(row["p_adjusted"] == pytest.approx(wanted[row["experiment"], row["task"]]) for row in tested)


def test_the_data_frame_has_the_columns_of_the_contract(fast_run: RunTables) -> None:
    frame = results_table(fast_run.folder, fast_run.plan)
    assert list(frame.columns) == list(COLUMNS)
    assert bool(frame["ci_low"].notna().all())
