"""What is said of a recipe with several runs is their mean, its spread holds the seeds, and sentences say how many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from regimen.analysis.best_of import by_best, ranked_groups
from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.headlines import headline
from regimen.analysis.over_runs import first_runs, gain_over_runs, score_over_runs
from regimen.analysis.recipes import recipes
from regimen.analysis.recommendation_tree import tree
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.rules import Rules
from regimen.analysis.rungs import bounded, climbers_of
from regimen.analysis.strategy_cells import strategy_cells
from regimen.analysis.taxonomy import universal
from regimen.plan import compile_plan
from regimen.study import load_study
from regimen.study.questions import BestRule, RankRule
from tests.support.mixtures_study import STUDY
from tests.support.simulated_runs import simulate

Skill = Callable[[str, str], float]
Made = Callable[..., Evidence]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def run(skill: Skill, seeds: int = 3) -> Evidence:
        path = tmp_path / "study.yaml"
        path.write_text(STUDY.replace("TASKS", "main") + f"seeds: {seeds}\n", encoding="utf-8")
        tables = simulate(tmp_path / "run", compile_plan(load_study(path)), skill, items=200)
        return Evidence(tables, Rules(seed=1, resamples=4000, swaps=999))

    return run


def steady(end: str, task: str) -> float:
    return 0.3 if end == "zero-shot" else 0.9 if end.startswith("m-even") else 0.5


def unsteady(end: str, task: str) -> float:
    """The mixtures are alike; each run falls high or low by its seed."""
    return 0.3 if end == "zero-shot" else {"18": 0.55, "19": 0.75}.get(end[-2:], 0.95)


def test_the_number_is_the_mean_over_runs_and_its_draws_hold_items_and_seeds(made: Made) -> None:
    evidence = made(unsteady)
    over = gain_over_runs(evidence, "m-even", {"mood": 1.0})
    assert over is not None
    runs = [evidence.gain(name, "zero-shot", "mood") for name in ("m-even", "m-even~s18", "m-even~s19")]
    items = [run for run in runs if run is not None]
    assert (over.runs, over.number.point) == (3, pytest.approx(np.mean([run.point for run in items])))
    points = {
        name: [v.point for run in (name, f"{name}~s18", f"{name}~s19") if (v := evidence.value(run, "mood"))]
        for name in ("m-even", "m-mood", "m-topic")
    }
    variance = np.mean([np.var(group, ddof=1) for group in points.values()]) / 3  # each has two degrees of freedom
    alone = np.mean([run.draws for run in items], axis=0)
    noise = (over.number.draws - alone) / np.sqrt(variance)
    assert stats.kstest(noise, stats.t(6).cdf).pvalue > 0.001
    assert first_runs(evidence, evidence.trained) == ["m-even", "m-mood", "m-topic"]
    score = score_over_runs(evidence, "m-even", "mood")
    assert score is not None
    assert score.number.point == pytest.approx(np.mean(points["m-even"]))


def test_without_replicates_it_is_the_one_run(made: Made) -> None:
    evidence = made(steady, seeds=1)
    over, gain = gain_over_runs(evidence, "m-even", {"mood": 1.0}), evidence.gain("m-even", "zero-shot", "mood")
    assert over is not None
    assert gain is not None
    assert over.runs == 1
    assert np.array_equal(over.number.draws, gain.draws)


@pytest.mark.parametrize(("seeds", "words"), [(1, "in this one run, "), (3, "over 3 runs of each recipe, ")])
def test_every_sentence_says_how_many_runs_it_rests_on(made: Made, seeds: int, words: str) -> None:
    evidence = made(steady, seeds)
    rule = evidence.study.questions["Q"].rule
    assert isinstance(rule, BestRule)
    groups = ranked_groups(evidence, rule)
    verdict, summary = by_best(groups, [])
    assert verdict == "yes"
    assert summary.startswith(f"Yes: Mixtures: {words}the best is m-even, ")
    assert headline(rule, verdict, [], None, groups) == f"{words.capitalize()}mixtures: one of 3 is best."
    relative = RelativeGains(evidence, exploratory_grid(evidence))
    assert all(words in one.statement for one in recipes(relative) if one.best)
    assert all(words in branch.statement for node in tree(relative) for branch in node.branches)
    assert {one.best for one in recipes(relative)} == {"m-even"}
    assert words.capitalize() in universal(relative, strategy_cells(relative), None, RankRule(kind="rank"))[1]


def test_seeds_that_disagree_leave_the_best_open_and_a_lucky_run_is_not_recommended(made: Made) -> None:
    evidence = made(unsteady)
    rule = evidence.study.questions["Q"].rule
    assert isinstance(rule, BestRule)
    assert ranked_groups(evidence, rule)[0].status == "undecided"
    climbers = bounded(climbers_of(evidence, "mood", 0.3, 0.9))
    assert [climber.runs for climber in climbers] == [3, 3, 3]
    single = evidence.value("m-even", "mood")
    assert single is not None
    assert all(climber.share.point < (single.point - 0.3) / 0.6 for climber in climbers)
    relative = RelativeGains(evidence, exploratory_grid(evidence))
    for one in recipes(relative):
        assert one.best in ("m-even", "m-mood", "m-topic")
        assert one.candidates == 3
