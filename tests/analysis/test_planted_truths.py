"""Planted truths, from scores to sentences: each verdict of each question, with one run of a recipe and with three."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import pytest

from regimen.analysis import thresholds
from regimen.analysis.exploratory_grid import exploratory_grid
from regimen.analysis.findings import Answer, answers
from regimen.analysis.headlines import WORDS
from regimen.analysis.relative_gains import RelativeGains
from regimen.analysis.rules import Rules
from regimen.plan import Plan, compile_plan
from regimen.results.references import Anchor, Reference
from regimen.study import ZERO_SHOT, Study, load_study
from tests.support.planted_runs import MadeEvidence, MadeTables, right_or_wrong
from tests.support.planted_study import CROSSED, planted_study
from tests.support.simulated_runs import without

ITEMS = 400
FIGURE, BASE = 0.95, 0.5  # of the other model, whose line is at 0.82; of zero-shot and of what nothing was planted in
Question = Literal["RQ1", "RQ2", "RQ3", "RQ4", "RQ5"]

# verdict -> ((start of an end point's name, tasks) -> its share of right items); what comes first counts
PLANTED: Mapping[str, Mapping[tuple[str, str], float]] = {
    "yes": {
        ("p-", "h"): 0.9, ("m-even", "kl"): 0.9, ("m-", "kl"): 0.6, ("d-", "h"): 0.9, ("c-k", "k"): 0.9,
        ("c-l", "k"): 0.5, ("x-:-mixed", CROSSED): 0.9, ("x-", CROSSED): 0.7, ("r-:~rows100", "rs"): 0.5,
        ("r-", "rs"): 0.97,
    },
    "no": {
        ("p-one", "h"): 0.3, ("m-", "kl"): 0.8, ("d-k", "h"): 0.3, ("c-", "k"): 0.8, ("x-", CROSSED): 0.7,
        ("r-", "rs"): 0.6,
    },
    "depends": {
        ("p-one", "h"): 0.9, ("m-even", "k"): 0.9, ("m-", "k"): 0.6, ("m-", "l"): 0.8, ("d-k", "h"): 0.9,
        ("c-", "k"): 0.8, ("x-:-mixed", CROSSED): 0.9, ("x-:-mixed", "h"): 0.2, ("x-", CROSSED): 0.7,
        ("r-:~rowsall", "r"): 0.97, ("r-", "rs"): 0.6,
    },
    "undecided": {
        ("p-", "h"): 0.52, ("m-even", "kl"): 0.81, ("m-", "kl"): 0.79, ("d-", "h"): 0.52,
        ("c-k", "k"): 0.56, ("c-l", "k"): 0.52,
        ("x-:-separate", CROSSED): 0.7, ("x-", CROSSED): 0.9, ("r-", "rs"): 0.84,
    },
}  # fmt: skip
PLANTED = {**PLANTED, "not yet": PLANTED["yes"], "not identifiable": PLANTED["yes"]}
LOST = {"not yet": ("p-one", "m-k", "d-k", "x-cd-mixed", "r-"), "not identifiable": ("x-",)}
SKIPPED = {"not identifiable": frozenset("hkl")}
TESTED = "of 2 declared contrasts"

# (question, verdict) -> the headline, {runs} where it begins with the number of runs; and words of the summary
EXPECTED: Mapping[tuple[Question, str], tuple[str, str]] = {
    ("RQ1", "yes"): ("{runs}2 of 2 comparisons are clearly better, as the rule asks.", f"{TESTED} 2 better, 0 worse"),
    ("RQ1", "no"): (
        "{runs}none of 2 comparisons is clearly better; all rule out a relevant gain.",
        f"{TESTED} 0 better, 1 worse, 1 equivalent within the margin, 0 undecided.",
    ),
    ("RQ1", "depends"): (
        "{runs}1 of 2 comparisons is clearly better; others lose, or rule a gain out.",
        f"{TESTED} 1 better, 0 worse, 1 equivalent within the margin, 0 undecided.",
    ),
    ("RQ1", "undecided"): (
        "{runs}none of 2 comparisons is clearly better; a relevant gain stays possible.",
        "For 2 a gain that matters is not ruled out; the largest upper bound is ",
    ),
    ("RQ1", "not yet"): (
        "1 of 2 declared comparisons still lack results.",
        "Not yet: 1 of 2 declared contrasts lack results; first lift:p-one",
    ),
    ("RQ1", "not identifiable"): (
        "No comparison that the answer rests on can be had.",
        "Not identifiable: no declared contrast can be had.",
    ),
    ("RQ2", "yes"): (
        "{runs}on K: one of 3 is best; on L: one of 3 is best.",
        "the best is m-even, +0.4",
    ),
    ("RQ2", "no"): ("{runs}on K: all 3 alike; on L: all 3 alike.", "no two differ by the margin of 0.05; first "),
    ("RQ2", "depends"): ("{runs}on K: one of 3 is best; on L: all 3 alike.", "On L: "),
    ("RQ2", "undecided"): (
        "{runs}on K: 3 of 3 may be best; on L: 3 of 3 may be best.",
        "each of m-even, m-k, m-l may be the best",
    ),
    ("RQ2", "not yet"): (
        "Results that the answer rests on are still missing.",
        "Not yet: On K: not yet (missing: m-k on k).",
    ),
    ("RQ2", "not identifiable"): (
        "On K: not measured; on L: not measured.",
        "Not identifiable: On K: not identifiable (its tasks were skipped).",
    ),
    ("RQ3", "yes"): (
        "{runs}forward transfer: 2 of 2 gained; forgetting: 1 of 1 lost.",
        "Forgetting: of 1 contrasts 1 lost something, 0 kept all within the margin, and 0 undecided.",
    ),
    ("RQ3", "no"): (
        "{runs}forward transfer: 0 of 2 gained; forgetting: 0 of 1 lost.",
        "Forgetting: of 1 contrasts 0 lost something, 1 kept all within the margin, and 0 undecided.",
    ),
    ("RQ3", "depends"): (
        "{runs}forward transfer: 1 of 2 gained; forgetting: 0 of 1 lost.",
        "Forward transfer: depends; of 2 declared contrasts 1 better",
    ),
    ("RQ3", "undecided"): (
        "{runs}forward transfer: 0 of 2 gained; forgetting: 0 of 1 lost.",
        "Forgetting: of 1 contrasts 0 lost something, 0 kept all within the margin, and 1 undecided.",
    ),
    ("RQ3", "not yet"): (
        "1 of 3 declared comparisons still lack results.",
        "Not yet: 1 of 3 declared contrasts lack results; first forward:d-k",
    ),
    ("RQ3", "not identifiable"): (
        "Forward transfer: not measured; forgetting: not measured.",
        "Not identifiable: Forward transfer: not identifiable.",
    ),
    ("RQ4", "yes"): (
        "{runs}mixed training is ahead over 6 source sets and harms no task.",
        "With one set left out, mixed is first in 6 of 6.",
    ),
    ("RQ4", "no"): (
        "{runs}no strategy matters over 6 source sets: all alike within the margin.",
        "No two differ by the margin of ",
    ),
    ("RQ4", "depends"): (
        "{runs}mixed training is ahead over 6 source sets, but harms 1 task.",
        "mixed is clearly below zero-shot on h.",
    ),
    ("RQ4", "undecided"): ("{runs}no strategy is clearly ahead.", "Leads, by flips of sets and of tasks: "),
    ("RQ4", "not yet"): (
        "Results that the answer rests on are still missing.",
        "Not yet: the crossed design lacks scores (missing: x-cd-mixed on ",
    ),
    ("RQ4", "not identifiable"): (
        "The strategies trained on different tasks for different steps, so none can be called the best.",
        "The study's crossed design has not been run.",
    ),
    ("RQ5", "yes"): (
        "{runs}2 of 2 tasks clearly reached the line, with 300 rows, after 40 steps.",
        "least 300 different rows, with 100 different rows it is not clear; least 163,840 tokens",
    ),
    ("RQ5", "no"): (
        "{runs}none of 2 tasks clearly reached the line; 2 clearly stayed below it.",
        "r not reached: ",
    ),
    ("RQ5", "depends"): (
        "{runs}1 of 2 tasks clearly reached the line, with 2,000 rows, after 40 steps.",
        "s not reached: ",
    ),
    ("RQ5", "undecided"): (
        "{runs}none of 2 tasks clearly reached the line; none clearly stayed below it.",
        "r undecided: ",
    ),
    ("RQ5", "not yet"): (
        "Results that the answer rests on are still missing.",
        "Not yet: what the threshold rests on is missing (",
    ),
    ("RQ5", "not identifiable"): (
        "No task has a published figure on these rows to compare with.",
        "Not identifiable: no task has a GPT-4 figure to compare with (no sourced figure).",
    ),
}


def planted(verdict: str) -> Callable[[str, str], tuple[float, Literal["paired", "apart"]]]:
    """What is planted for a verdict; further seeds differ by an item or two of a hundred."""

    def skill(end: str, task: str) -> tuple[float, Literal["paired", "apart"]]:
        if end == ZERO_SHOT:
            return BASE, "paired"
        level = next((level for (marks, tasks), level in PLANTED[verdict].items()
                      if task in tasks and all(mark in end for mark in marks.split(":"))), BASE)  # fmt: skip
        seed = {"~s18": 0.01, "~s19": -0.01}.get(end[-4:], 0.0)
        apart = verdict == "undecided" and end[0] in "pmdc" and level != BASE
        return level + seed, "apart" if apart else "paired"

    return skill


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Plan]:
    folder = tmp_path_factory.mktemp("planted")

    @cache
    def made(seeds: int) -> Plan:
        path = Path(folder) / "study.yaml"
        path.write_text(planted_study(seeds), encoding="utf-8")
        return compile_plan(load_study(path))

    return made


@pytest.fixture(scope="module")
def answered(plan: Callable[[int], Plan]) -> Callable[[str, int], Mapping[str, Answer]]:
    """(verdict, seeds) -> the answers of the run in which it is planted in every question."""

    @cache
    def found(verdict: str, seeds: int) -> Mapping[str, Answer]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(thresholds, "anchor_of", lambda study, task, model: figure(study, task, verdict))
            tables = MadeTables(plan(seeds), ITEMS, SKIPPED.get(verdict, frozenset()))
            lost = LOST.get(verdict, ())
            less = without(tables, lambda cell: bool(lost) and cell.experiment.startswith(lost))
            rules = Rules(seed=1, resamples=600, swaps=999)
            evidence = MadeEvidence(less, rules, right_or_wrong(planted(verdict), ITEMS))
            return {answer.id: answer for answer in answers(RelativeGains(evidence, exploratory_grid(evidence)))}

    return found


def figure(study: Study, task: str, verdict: str) -> Anchor:
    """A published figure on the two tasks of the ladders of rows, but where nothing is to be identifiable."""
    if task not in "rs" or verdict == "not identifiable":
        return Anchor(None, None, None, "no sourced figure")
    about = ("somewhere", "the same", "GPT-4", "", "accuracy", FIGURE, 1000, "zero-shot", "a paper", "url")
    return Anchor(Reference(*about, status="read", use="anchor", remark=""), FIGURE, FIGURE, "")


def within_words(headline: str) -> str:
    """Without the last part where it is too long for a card."""
    return headline if len(headline.split()) <= WORDS else f"{headline.rpartition('; ')[0]}."


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("question", "verdict"), list(EXPECTED))
def test_a_planted_truth_gives_its_verdict_and_its_sentences(
    answered: Callable[[str, int], Mapping[str, Answer]], question: Question, verdict: str, seeds: int
) -> None:
    answer = answered(verdict, seeds)[question]
    headline, words = EXPECTED[question, verdict]
    runs = "In this one run, " if seeds == 1 else f"Over {seeds} runs of each recipe, "
    assert (answer.verdict, answer.headline) == (verdict, within_words(headline.format(runs=runs))), answer.summary
    assert answer.summary.startswith(f"{verdict.capitalize()}")
    assert words in answer.summary
    if "{runs}" in headline and question != "RQ3":
        assert runs.lower() in answer.summary.lower()


def test_every_verdict_of_every_question_is_planted() -> None:
    verdicts = ("yes", "no", "depends", "undecided", "not yet", "not identifiable")
    assert set(EXPECTED) == {(f"RQ{number}", verdict) for number in range(1, 6) for verdict in verdicts}
