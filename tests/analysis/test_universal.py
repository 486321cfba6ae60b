"""RQ4 over a crossed design: the rule on typed cells, its errors without an effect, and the way from a run to cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy.stats import binom

from regimen.analysis.crossed_cells import Crossed, crossed
from regimen.analysis.evidence import Evidence
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.findings import findings
from regimen.analysis.headlines import headline
from regimen.analysis.rules import Rules
from regimen.analysis.universal import CrossedCell, CrossedResult, Keeping, judged_cells, result_words
from regimen.plan import compile_plan
from regimen.results.tables import RunTables
from regimen.study import load_study
from regimen.study.questions import RankRule
from tests.support.simulated_runs import simulate, without

RULE = RankRule(kind="rank")
SETS = {"ab": "ab", "bc": "bc", "cd": "cd", "de": "de", "ef": "ef", "fa": "fa"}
WAYS = ("separate", "mixed", "sequential")


def cells(random: np.random.Generator, gains: Mapping[str, float], noise: float = 0.15) -> list[CrossedCell]:
    """Six overlapping sets of two sources; what trains alone is one model for all its sets; tasks have levels."""
    alone = {task: random.normal(0, noise) for task in "abcdef"}
    level = {task: random.normal(0.5, 0.2) for task in "abcdef"}
    found = []
    for name, tasks in SETS.items():
        ease = random.normal(0, 0.2)
        for way in WAYS:
            for task in tasks:
                luck = alone[task] if way == "separate" else random.normal(0, noise)
                lift = 0.0 if way == "separate" else ease
                found.append(CrossedCell(way, name, task, level[task] + lift + gains.get(way, 0.0) + luck))
    return found


def keeping(state: Keeping = "kept") -> dict[str, dict[str, Keeping]]:
    return {way: {"a": "kept", "b": state} for way in WAYS}


def judged(gains: Mapping[str, float], state: Keeping = "kept", noise: float = 0.02, seed: int = 1) -> CrossedResult:
    random = np.random.default_rng(seed)
    alike = [CrossedCell(c.strategy, c.set, c.task, c.gain) for c in cells(random, gains, noise)]
    return judged_cells(alike, keeping(state), 0.1, runs=3)


def test_without_an_effect_of_the_strategy_few_are_called_universal() -> None:
    """Difficult sets, easy tasks and shared models are there, the strategy does nothing: yes in at most 5%."""
    studies, wrong = 300, 0
    for seed in range(studies):
        random = np.random.default_rng(seed)
        found = cells(random, {})
        for name in SETS:  # the mixed and sequential models of a set share its ease; so does what trains alone
            assert len([cell for cell in found if cell.set == name]) == 6
        wrong += judged_cells(found, keeping(), 0.1).verdict(RULE) == "yes"
    assert wrong <= binom.ppf(0.99, studies, 0.05)


def test_two_equals_ahead_of_a_third_are_seldom_told_apart() -> None:
    studies = 300
    verdicts = [
        judged_cells(cells(np.random.default_rng(seed), {"mixed": 0.6, "sequential": 0.6}), keeping(), 0.1).verdict(
            RULE
        )
        for seed in range(studies)
    ]
    assert verdicts.count("yes") <= binom.ppf(0.99, studies, 0.05)


def test_permuted_strategies_are_seldom_universal() -> None:
    """Strategies that differ much, their labels permuted within each set."""
    studies, wrong, random = 300, 0, np.random.default_rng(1)
    for _ in range(studies):
        found = []
        for name, tasks in SETS.items():
            turned = dict(zip(WAYS, random.permutation([0.9, 0.5, 0.1]), strict=True))
            found += [CrossedCell(way, name, task, turned[way]) for way in WAYS for task in tasks]
        wrong += judged_cells(found, keeping(), 0.1).verdict(RULE) == "yes"
    assert wrong <= binom.ppf(0.99, studies, 0.05)


@pytest.mark.parametrize(
    ("gains", "state", "verdict", "words"),
    [
        ({"mixed": 0.5}, "kept", "yes", "mixed training is ahead over 6 source sets and harms no task."),
        ({"mixed": 0.5}, "harmed", "depends", "mixed training is ahead over 6 source sets, but harms 1 task."),
        ({"mixed": 0.5}, "open", "undecided", "mixed training is ahead over 6 source sets, but harm is not ruled out."),
        ({"mixed": 0.5, "sequential": 0.5}, "kept", "undecided", "no strategy is clearly ahead."),
        ({}, "kept", "no", "no strategy matters over 6 source sets: all alike within the margin."),
    ],
)
def test_a_planted_effect_gives_its_verdict_and_sentence(
    gains: dict[str, float], state: Keeping, verdict: str, words: str
) -> None:
    noise = 0.005 if verdict == "no" else 0.02
    found = judged(gains, state, noise)
    if not gains:  # the sets' ease is no part of what trains alone, so it must not differ by it
        found = judged_cells([CrossedCell(c.strategy, c.set, c.task, 0.5) for c in cells(np.random.default_rng(1), {})],
                             keeping(), 0.1, runs=3)  # fmt: skip
    assert found.verdict(RULE) == verdict
    assert headline(RULE, found.verdict(RULE), [], None, None, found) == f"Over 3 runs of each recipe, {words}"
    summary = result_words(found, found.verdict(RULE))
    assert summary.startswith("mean gains over 6 source sets and 6 tasks, in units of a task's best gain: ")
    assert ("clearly below zero-shot on b" in summary) == (state == "harmed")
    assert ("is not ruled out for mixed on b" in summary) == (state == "open")


def test_one_set_that_carries_the_lead_is_not_enough() -> None:
    found = judged_cells([CrossedCell(c.strategy, c.set, c.task, 5.0 * (c.strategy == "mixed" and c.set == "ab"))
                          for c in cells(np.random.default_rng(1), {})], keeping(), 0.1)  # fmt: skip
    assert not found.is_clear
    assert found.verdict(RULE) == "undecided"


def test_below_six_sets_nothing_can_be_clear() -> None:
    few = [cell for cell in cells(np.random.default_rng(1), {"mixed": 2.0}) if cell.set not in ("ef", "fa")]
    found = judged_cells(few, keeping(), 0.1)
    assert found.verdict(RULE) == "not identifiable"
    assert "Below 6 sets no lead can be clear." in result_words(found, "not identifiable")
    assert headline(RULE, "not identifiable", [], None, None, found).startswith("4 source sets are crossed; ")


STUDY = """\
study: crossed
base: {id: some/model, origin: folder}
schedule: {learning_rate: {pretrain: 1.0e-3, finetune: 2.0e-3}, warmup_steps: 2}
phases: {base: {title: Base}, crossed: {title: Crossed}}
sources: {SOURCES}
tasks: {TASKS}
experiments:
  - {phase: base, title: "Zero-shot: {task}", baseline: every-task}
  - phase: crossed
    title: "{set}: {strategy}"
    steps: 40
    seeds: 2
    crossed: {x-ab: [a, b], x-bc: [b, c], x-cd: [c, d], x-de: [d, e], x-ef: [e, f], x-fa: [f, a]}
margin: {accuracy: 0.1}
questions: {Q: {question: "Is there a universal recipe?", rule: {kind: rank}}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunTables:
    """Six sets, two seeds, mixed training planted as the best."""
    form = '{prompt: "{{ text }} is", label: {column: label, names: [bad, good]}}, held_out: {share: 0.2}'
    sources = ", ".join(f"{name}: {{files: [{name}.jsonl], form: {form}}}" for name in "abcdef")
    shape = "group: all, scoring: choice, metrics: [accuracy]"
    tasks = ", ".join(f"{name}: {{title: {name}, source: [{name}], {shape}}}" for name in "abcdef")
    folder = tmp_path_factory.mktemp("crossed")
    text = STUDY.replace("SOURCES", sources).replace("TASKS", tasks)
    (folder / "study.yaml").write_text(text, encoding="utf-8")

    def skill(end: str, task: str) -> float:
        return 0.3 if end == "zero-shot" else 0.9 if "-mixed" in end else 0.5

    return simulate(folder / "run", compile_plan(load_study(folder / "study.yaml")), skill, items=150)


def measured(tables: RunTables) -> Crossed:
    found = crossed(Evidence(tables, Rules(seed=1, resamples=200, swaps=99)))
    assert found is not None
    return found


def test_a_run_of_a_crossed_design_is_measured(run: RunTables) -> None:
    found = measured(run).result
    assert found is not None
    assert (found.first, set(found.means), len(found.sets), found.runs) == ("mixed", set(WAYS), 6, 2)
    assert list(found.tasks) == list("abcdef")
    assert found.verdict(RULE) == "yes"
    assert 0.7 < found.means["mixed"] <= 1.0
    evidence = Evidence(run, Rules(seed=1, resamples=200, swaps=99))
    cell = [evidence.gain(f"x-ab-separate-a{seed}", "zero-shot", "a") for seed in ("", "~s18")]
    assert all(gain is not None for gain in cell)


def test_what_lacks_scores_waits_and_what_has_not_run_is_said(run: RunTables) -> None:
    waits = measured(without(run, ["x-cd-mixed"]))
    assert waits.result is None
    assert waits.missing.startswith("x-cd-mixed on ")
    assert measured(without(run, lambda cell: cell.experiment.startswith("x-"))) == Crossed(None)


def test_the_answer_of_the_question(run: RunTables) -> None:
    evidence = Evidence(run, Rules(seed=1, resamples=200, swaps=99))
    (answer,) = findings(evidence, exploratory_grid(evidence)).questions
    assert answer.verdict == "yes"
    assert (
        answer.headline == "Over 2 runs of each recipe, mixed training is ahead over 6 source sets and harms no task."
    )
    assert answer.summary.startswith("Yes: over 2 runs of each recipe, mean gains over 6 source sets")
    assert answer.crossed is not None
    assert answer.plot is not None
    assert [row.outcome for row in answer.plot.rows] == ["better", "better"]
