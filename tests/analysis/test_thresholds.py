"""RQ5: reached by what was run, between two rungs, never extrapolated; and nothing without a sourced figure."""

from __future__ import annotations

from typing import Any

import pytest

from regimen.analysis.evidence import Evidence
from regimen.analysis.headlines import headline
from regimen.analysis.records import to_json
from regimen.analysis.relative_gains import MissingScore, RelativeGains
from regimen.analysis.rules import Rules
from regimen.analysis.thresholds import Threshold, _range, by_thresholds, thresholds
from regimen.plan import compile_plan
from regimen.results.references import Anchor, anchor_of
from regimen.results.tables import RunTables
from regimen.study import load_study
from regimen.study.questions import ThresholdRule
from tests.support.made_findings import entry
from tests.support.simulated_runs import simulate, without

RULE = ThresholdRule(kind="threshold")
RULES = Rules(seed=1, resamples=500, swaps=999)
# the sourced line of SST-2 lies at 0.3 + 0.8 (0.942 - 0.3) = 0.81, 0.3 being the simulated majority
SKILLS = {"c-sst2-250": 0.4, "c-sst2-500": 0.5, "c-sst2-1k": 0.93, "c-sst2-2k": 0.94, "3a-sst2": 0.95}


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> RunTables:
    plan = compile_plan(
        load_study("qwen2-finance"),
        only=["1-sst2", "1-topic", "1-math", "3a-math", *SKILLS],
        tasks=["sst2", "math", "topic", "imdb"],
    )

    def skill(end: str, task: str) -> float:
        return SKILLS.get(end, 0.4) if task == "sst2" else 0.35

    return simulate(tmp_path_factory.mktemp("ladder") / "run", plan, skill, items=80)


def entries(tables: RunTables) -> dict[str, dict[str, Any]]:
    """Task -> its entry as findings.json holds it."""
    return {one.task: to_json(one) for one in thresholds(Evidence(tables, RULES), RULE)}


def test_a_task_is_reached_between_two_rungs(ladder: RunTables) -> None:
    found = entries(ladder)["sst2"]
    steps = {e.id: e.steps for e in ladder.plan.study.experiments}
    assert found["status"] == "reached"
    assert found["anchor"]["value"] == 0.942
    assert found["threshold"] == pytest.approx(0.3 + 0.8 * (0.942 - 0.3))
    rung = found["reached_by"]
    assert rung["experiment"].startswith("c-sst2-")
    assert found["steps_between"][1] == rung["steps"] == steps[rung["experiment"]]
    assert found["steps_between"][0] < rung["steps"]
    score = ladder.cells[rung["experiment"], "sst2"].metrics["accuracy"]
    assert rung["share"] == pytest.approx((score - 0.3) / (0.942 - 0.3))
    assert rung["low"] < rung["share"] < rung["high"]


def test_what_nobody_reached_is_not_extrapolated(ladder: RunTables) -> None:
    """With experiments of the plan missing it is not yet known; the nearest is named all the same."""
    found = entries(ladder)["math"]
    assert found["status"] == "not yet"
    assert found["reached_by"] is None
    assert found["steps_between"] is None
    assert found["nearest"]["share"] < 0.8


def test_without_a_sourced_figure_nothing_is_identifiable(ladder: RunTables) -> None:
    study = ladder.plan.study
    found = entries(ladder)
    for task in study.panel("main"):
        anchored = anchor_of(study, task).reference is not None
        assert (found[task]["status"] == "not identifiable") == (not anchored)
    assert found["topic"]["note"]
    assert found["conversational-qa"]["anchor"] == {"value": None, "low": 0.254, "high": 0.76}
    assert "no single line" in found["conversational-qa"]["note"]
    assert 0.927 in [figure["value"] for figure in found["code"]["beside"]]


def test_without_the_floor_it_waits(ladder: RunTables) -> None:
    import copy

    less = copy.copy(ladder)
    less.outcomes = {name: outcome for name, outcome in ladder.outcomes.items() if outcome.kind != "items"}
    found = entries(less)["sst2"]
    assert found["status"] == "not yet"
    assert "majority" in found["note"]


def test_the_verdict_waits_for_the_whole_plan(ladder: RunTables) -> None:
    evidence = Evidence(ladder, RULES)
    verdict, summary = by_thresholds(thresholds(evidence, RULE), RULE, RelativeGains(evidence, {}))
    assert verdict == "not yet"
    assert summary.startswith("Not yet: ")
    assert "Not identifiable: " in summary


class Whole(RelativeGains):
    def lacking(self) -> list[MissingScore]:
        return []


@pytest.mark.parametrize(
    ("entries", "verdict"),
    [
        ([entry("reached"), entry("not identifiable")], "yes"),
        ([entry("reached"), entry("undecided")], "undecided"),
        ([entry("not reached"), entry("undecided")], "undecided"),
        ([entry("reached"), entry("not reached")], "depends"),
        ([entry("not reached"), entry("not identifiable")], "no"),
        ([entry("not identifiable")], "not identifiable"),
        ([entry("reached"), entry("not yet")], "not yet"),
    ],
)
def test_the_rule(ladder: RunTables, entries: list[Threshold], verdict: str) -> None:
    found, summary = by_thresholds(entries, RULE, Whole(Evidence(ladder, RULES), {}))
    assert found == verdict
    if verdict == "yes":
        assert "sst2: in this one run, x is clearly above the line: 0.90 of the way" in summary
        assert "; least 100 steps, with 50 steps it is not clear; least 0.05 GPU-hours, y not run [" in summary
        assert "Only steps vary" in summary


def test_rungs_that_are_gone_widen_the_interval(ladder: RunTables) -> None:
    lost = without(ladder, ["c-sst2-250", "c-sst2-500", "c-sst2-1k", "c-sst2-2k"])
    found = entries(lost)["sst2"]
    assert found["status"] == "reached"
    assert found["steps_between"][0] == 0
    assert found["reached_by"]["experiment"] == "r-sst2~rowsall"  # the training of c-sst2-1k by another name


ROWS = {"100": 0.4, "300": 0.5, "1000": 0.95, "3000": 0.95, "all": 0.95}


@pytest.fixture(scope="module")
def rows_ladder(tmp_path_factory: pytest.TempPathFactory) -> RunTables:
    plan = compile_plan(load_study("qwen2-finance"), track="crossed", only=["1-sst2", "r-sst2"], tasks=["sst2"])
    return simulate(tmp_path_factory.mktemp("rows") / "run", plan, _by_rows, items=200)


def _by_rows(end: str, task: str) -> float:
    return ROWS.get(end.partition("~rows")[2].partition("~")[0], 0.3)


def test_a_ladder_of_rows_gives_the_least_rows(rows_ladder: RunTables) -> None:
    """Rows that are equally clear differ in nothing but rows, so every other measure is that of the fewest rows."""
    evidence = Evidence(rows_ladder, RULES)
    found = next(one for one in thresholds(evidence, RULE) if one.task == "sst2")
    assert (found.status, found.rows_vary) == ("reached", True)
    least = {one.measure: one for one in found.least}
    assert list(least) == ["unique_rows", "tokens", "steps", "gpu_hours"]
    rows = least["unique_rows"]
    assert (rows.amount, rows.experiment, rows.not_clear, rows.not_run) == (1000, "r-sst2~rows1000", 300, [])
    assert least["steps"].amount == 1000
    assert least["tokens"].amount == 1000 * 8 * 512
    assert least["gpu_hours"].amount == pytest.approx(0.5)
    assert found.reached_by is not None
    assert found.reached_by.runs == 3
    assert found.reached_by.rows_seen == pytest.approx(8000)
    verdict, summary = by_thresholds([found], RULE, Whole(evidence, {}))
    assert verdict == "yes"
    assert "; least 1,000 different rows, with 300 different rows it is not clear; least 4,096,000 tokens; " in summary
    assert "Only steps vary" not in summary
    assert headline(ThresholdRule(kind="threshold"), verdict, [], [found], None).endswith(
        "1 of 1 tasks clearly reached the line, with 1,000 rows, after 1,000 steps."
    )


def test_a_rung_of_rows_that_has_not_run_is_named(rows_ladder: RunTables) -> None:
    lost = without(rows_ladder, ["r-sst2~rows300", "r-sst2~rows300~s18", "r-sst2~rows300~s19"])
    found = next(one for one in thresholds(Evidence(lost, RULES), RULE) if one.task == "sst2")
    rows = found.least[0]
    assert (rows.amount, rows.not_clear, rows.not_run) == (1000, 100, ["r-sst2~rows300"])


def test_without_a_ladder_of_rows_nothing_is_said_of_rows(ladder: RunTables) -> None:
    evidence = Evidence(ladder, RULES)
    found = next(one for one in thresholds(evidence, RULE) if one.task == "sst2")
    assert not found.rows_vary
    assert [one.measure for one in found.least] == ["tokens", "steps", "gpu_hours"]
    assert "Only steps vary between the runs of a recipe, so" in by_thresholds([found], RULE, Whole(evidence, {}))[1]


def test_where_sources_disagree_both_ends_are_shown(ladder: RunTables) -> None:
    found = _range(Evidence(ladder, RULES), "sst2", 0.3, Anchor(None, 0.5, 0.9, "sources disagree"))
    assert found is not None
    score = ladder.cells[found.experiment, "sst2"].metrics["accuracy"]
    assert found.share_of_low == pytest.approx((score - 0.3) / 0.2)
    assert found.share_of_high == pytest.approx((score - 0.3) / 0.6)
    assert _range(Evidence(ladder, RULES), "sst2", 0.3, Anchor(None, 0.2, 0.9, "")) is None
