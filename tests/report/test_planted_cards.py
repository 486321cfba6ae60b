"""Planted findings give the expected cards, word for word, and Evidence says the same with the same numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest

from regimen.analysis.best_of import RankedExperiment, RankedGroup
from regimen.analysis.declared_contrasts import JudgedContrast
from regimen.analysis.findings import Answer
from regimen.analysis.headlines import headline, interval_plot
from regimen.analysis.thresholds import Threshold
from regimen.analysis.universal import CrossedResult, StrategyLead
from regimen.analysis.verdicts import Verdict
from regimen.plan import Plan
from regimen.report import shell
from regimen.report.run_reading import Reading, read
from regimen.report.sections import sections_of
from regimen.results import RunFolder
from tests.support.made_findings import entry, went
from tests.support.made_reports import Page

DIFFERENCE = "difference (positive: the first is better)"
CONTRASTS: dict[Verdict, tuple[Sequence[str], str]] = {  # of RQ1: outcomes, and what its card says
    "yes": (["better", "better"], "In this one run, 2 of 2 comparisons are clearly better, as the rule asks."),
    "no": (
        ["equivalent", "ruled out"],
        "In this one run, none of 2 comparisons is clearly better; all rule out a relevant gain.",
    ),
    "depends": (
        ["better", "ruled out"],
        "In this one run, 1 of 2 comparisons is clearly better; others lose, or rule a gain out.",
    ),
    "undecided": (
        ["undecided", "worse"],
        "In this one run, none of 2 comparisons is clearly better; a relevant gain stays possible.",
    ),
    "not yet": (["better", "not yet"], "1 of 2 declared comparisons still lack results."),
    "not identifiable": (["not identifiable"], "No comparison that the answer rests on can be had."),
}


@pytest.fixture(scope="module")
def reading(finished: RunFolder, plan: Plan) -> Reading:
    return read(finished, plan)


def shown(reading: Reading, answers: Sequence[Answer]) -> tuple[list[str], list[str], str]:
    """(the text of each card, what its intervals say, the text of Evidence)."""
    planted = replace(reading, findings=replace(reading.findings, questions=answers))
    page = shell.page("t", sections_of(planted))
    cards = re.findall(r'<article class="card">(.*?)</article>', page, re.S)
    evidence = page.split('<section id="evidence"')[1].split("</section>")[0]
    says = [one for card in cards for one in re.findall(r'<svg [^>]*aria-label="([^"]*)"', card)]
    return [Page(card).text for card in cards], says, Page(evidence).text


def answer(
    reading: Reading,
    name: str,
    verdict: Verdict,
    contrasts: Sequence[JudgedContrast] = (),
    tasks: Sequence[Threshold] | None = None,
    rankings: Sequence[RankedGroup] | None = None,
    crossed: CrossedResult | None = None,
) -> Answer:
    """A planted answer to a question of the study."""
    question = reading.plan.study.questions[name]
    short = headline(question.rule, verdict, contrasts, tasks, rankings, crossed)
    plot = interval_plot(contrasts, tasks, rankings, None, 0.8, crossed)
    looked_at = contrasts, tasks, rankings, None, crossed
    return Answer(name, question.question, verdict, short, "the numbers", None, plot, *looked_at)


@pytest.mark.parametrize("verdict", list(CONTRASTS))
def test_a_question_of_contrasts(reading: Reading, verdict: Verdict) -> None:
    outcomes, sentence = CONTRASTS[verdict]
    judged = [went("rq1-domain", what) for what in outcomes]
    measured = [one for one in judged if one.comparison]
    [card], says, evidence = shown(reading, [answer(reading, "RQ1", verdict, judged)])
    order = ["better", "worse", "equivalent", "undecided"]
    labels = sorted(measured, key=lambda one: (order.index(str(one.outcome)), one.contrast.title))
    picture = " ".join([*(one.contrast.title for one in labels), DIFFERENCE]) + " " if measured else ""
    assert card == f"{verdict} RQ1 Does continued pretraining help? {sentence} {picture}Evidence of RQ1"
    assert says == [
        f"{one.contrast.title}: {one.comparison.estimate:+.3f} "
        f"({one.comparison.low:+.3f} to {one.comparison.high:+.3f}), {one.outcome}"
        for one in labels if one.comparison
    ]  # fmt: skip
    assert f"{verdict} RQ1 Does continued pretraining help? {sentence}" in evidence
    for one in measured:
        assert one.comparison is not None
        ends = f"{one.comparison.low:+.3f} to {one.comparison.high:+.3f}"
        assert f"{one.contrast.title} {one.comparison.estimate:+.3f} {ends} {one.outcome}" in evidence


def test_a_question_of_rankings(reading: Reading) -> None:
    first = RankedExperiment("3a-sst2", 0.2, 0.01, 0.1, True)
    second = RankedExperiment("3a-financial-sentiment", 0.15, -0.1, -0.01, False)
    group = RankedGroup("Mixtures", ["imdb"], 0.02, [first, second], "one best")
    [card], says, evidence = shown(reading, [answer(reading, "RQ2", "yes", rankings=[group])])
    titles = "Direct fine-tuning, glue-sst2 Direct fine-tuning, fingpt-sentiment"
    axis = "Mixtures: lead over the best of the others"
    sentence = "In this one run, mixtures: one of 2 is best."
    assert card == f"yes RQ2 Which data mixture is best? {sentence} {titles} {axis} Evidence of RQ2"
    assert says == [
        "Direct fine-tuning, glue-sst2: +0.050 (+0.010 to +0.100), better",
        "Direct fine-tuning, fingpt-sentiment: -0.050 (-0.100 to -0.010), worse",
    ]
    assert sentence in evidence
    for row in ("glue-sst2: +0.050 (+0.010 to +0.100)", "fingpt-sentiment: -0.050 (-0.100 to -0.010)"):
        assert f"Direct fine-tuning, {row}" in evidence, "every interval of a card stands in Evidence"


def test_a_question_of_parts(reading: Reading) -> None:
    judged = [went("rq3-forward", "better"), went("rq3-forward", "undecided"), went("rq3-backward", "worse")]
    found = answer(reading, "RQ3", "depends", judged)
    [card], _, evidence = shown(reading, [replace(found, plot=interval_plot(judged[:2], None, None, None))])
    sentence = (
        "In this one run, forward transfer between fine-tuned tasks: 1 of 2 gained; cross-domain pretraining: "
        "not measured."
    )
    asked = "RQ3 Does skill transfer across tasks?"
    assert card == f"depends {asked} {sentence} better undecided {DIFFERENCE} Evidence of RQ3"
    assert "worse (apart: no part of the answer)" in evidence


def test_a_question_of_strategies(reading: Reading) -> None:
    lead = StrategyLead("sequential", 0.2, 0.1, 0.3, 0.12, 0.28, 0.03)
    result = CrossedResult(
        means={"mixed": 0.7, "sequential": 0.5}, sets=[f"s{number}" for number in range(6)], tasks=["sst2"],
        leads=[lead], first_folds=6, margin=0.05, harmed=[], open_tasks=[], runs=3,
    )  # fmt: skip
    [card], says, _ = shown(reading, [answer(reading, "RQ4", "yes", crossed=result)])
    sentence = "Over 3 runs of each recipe, mixed training is ahead over 6 source sets and harms no task."
    axis = "lead in units of a task's best gain, over source sets"
    asked = "RQ4 Is there a universal recipe?"
    assert card == f"yes {asked} {sentence} mixed less sequential {axis} Evidence of RQ4"
    assert says == ["mixed less sequential: +0.200 (+0.100 to +0.300), better"]


def test_a_question_of_thresholds(reading: Reading) -> None:
    [card], says, _ = shown(reading, [answer(reading, "RQ5", "depends", tasks=[entry("reached"), entry("undecided")])])
    asked = "RQ5 How little data and compute reaches 80% of GPT-4?"
    assert card.startswith(f"depends {asked} In this one run, 1 of 2 tasks")
    assert says == [
        "GLUE SST-2: +0.900 (+0.850 to +0.950), better",
        "GLUE SST-2: +0.900 (+0.850 to +0.950), undecided",
    ]


def test_every_verdict_has_a_chip_of_its_own(reading: Reading) -> None:
    verdicts = get_args(Verdict)
    assert set(CONTRASTS) == set(verdicts)
    style = shell.text_of("browser", "shell.css")
    for verdict in verdicts:
        assert f".chip-{verdict.replace(' ', '-')}" in style
