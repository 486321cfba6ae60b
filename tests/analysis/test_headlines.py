"""A headline has at most 20 words and no ids, for every verdict; a plot holds the intervals that show the answer."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from regimen.analysis.best_of import RankedExperiment, RankedGroup
from regimen.analysis.headlines import WORDS, headline, interval_plot
from regimen.analysis.verdicts import by_contrasts, by_parts
from regimen.study.questions import BestRule, ContrastRule, Part, PartsRule, Ranking, ThresholdRule
from tests.support.made_findings import entry, went

ONE = ContrastRule(kind="contrasts", half_positive=("half",), apart=("own",))


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize(
    ("ways", "words"),
    [
        (["better", "better", "worse"], "2 of 3 comparisons are clearly better, as the rule asks."),
        (["worse", "equivalent"], "none of 2 comparisons is clearly better; all rule out a relevant gain."),
        (["better", "worse", "undecided"], "1 of 3 comparisons is clearly better; others lose, or rule a gain out."),
        (["undecided"], "the one comparison is not clearly better; a relevant gain stays possible."),
        (["better", "not yet"], "1 of 2 declared comparisons still lack results."),
        (["not identifiable"], "No comparison that the answer rests on can be had."),
    ],
)
def test_of_contrasts(ways: list[str], words: str, runs: int) -> None:
    contrasts = [went("half", way, runs=runs) for way in ways]
    found = headline(ONE, by_contrasts(ONE, contrasts)[0], contrasts, None, None)
    assert found.endswith(words)
    if "clearly" in words:
        assert found.startswith("In this one run, " if runs == 1 else "Over 3 runs of each recipe, ")
    assert len(found.split()) <= WORDS


def test_contrasts_apart_are_not_counted() -> None:
    contrasts = [went("half", "equivalent"), went("own", "better")]
    assert "the one comparison is not" in headline(ONE, "no", contrasts, None, None)


def test_of_parts_the_first_is_always_there() -> None:
    titles = ["Forward transfer between fine-tuned tasks", "Cross-domain pretraining", "Forgetting along chains"]
    rule = PartsRule(
        kind="parts",
        parts=(*(Part(title=t, groups=(g,)) for t, g in zip(titles[:2], "fc", strict=True)),
               Part(title=titles[2], groups=("k",), asks="kept")),
    )  # fmt: skip
    contrasts = [went("f", "better"), went("f", "undecided"), went("c", "worse"), went("k", "worse")]
    found = headline(rule, by_parts(rule, contrasts)[0], contrasts, None, None)
    assert found == (
        "In this one run, forward transfer between fine-tuned tasks: 1 of 2 gained; cross-domain pretraining: "
        "0 of 1 gained."
    )


def ranked(status: Literal["one best", "all alike", "undecided"]) -> RankedGroup:
    best = RankedExperiment("3b-one", 0.2, 0.01 if status == "one best" else -0.05, 0.1, True)
    others = [RankedExperiment(f"3b-{n}", 0.1, -0.2, -0.01, status != "one best") for n in range(2)]
    return RankedGroup("Mixtures", ["imdb"], 0.02, [best, *others], status)


def test_of_rankings() -> None:
    rule = BestRule(kind="best", rankings=(Ranking(title="Mixtures", among=("*",), tasks="main"),))
    groups = [ranked("one best"), ranked("undecided")]
    found = headline(rule, "depends", [], None, groups)
    assert found == ("In this one run, mixtures: one of 3 is best; mixtures: 3 of 3 may be best.")
    plot = interval_plot([], None, groups, None)
    assert plot is not None
    assert [(row.key, row.outcome) for row in plot.rows] == [
        ("3b-one", "better"), ("3b-0", "worse"), ("3b-1", "worse")
    ]  # fmt: skip
    assert plot.rows[0].estimate == pytest.approx(0.1)
    assert plot.rows[1].estimate == pytest.approx(-0.1)


def test_of_thresholds() -> None:
    rule = ThresholdRule(kind="threshold")
    reached = [entry("reached"), entry("undecided"), entry("not identifiable")]
    assert headline(rule, "undecided", [], reached, None) == (
        "In this one run, 1 of 2 tasks clearly reached the line, after 100 steps."
    )
    none = headline(rule, "no", [], [entry("not reached")], None)
    assert none == "In this one run, none of 1 tasks clearly reached the line; 1 clearly stayed below it."
    plot = interval_plot([], reached, None, None, 0.8)
    assert plot is not None
    assert (plot.line, [row.outcome for row in plot.rows]) == (0.8, ["better", "undecided", "undecided"])


def test_a_plot_shows_what_is_clear_first_and_counts_the_rest() -> None:
    contrasts = [went("half", "undecided")] * 5 + [went("half", "worse"), went("half", "better")]
    plot = interval_plot(contrasts, None, None, None)
    assert plot is not None
    assert [row.outcome for row in plot.rows][:3] == ["better", "worse", "undecided"]
    assert (len(plot.rows), plot.left_out, plot.margin) == (6, 1, 0.08)
    assert interval_plot([went("half", "not yet")], None, None, None) is None


def test_every_answer_of_a_run_has_a_short_headline_without_ids(full_run: Any) -> None:
    from regimen.analysis.evidence import Evidence
    from regimen.analysis.exploratory_grid import exploratory_grid
    from regimen.analysis.findings import findings
    from regimen.analysis.rules import Rules

    evidence = Evidence(full_run, Rules(seed=1, resamples=100, swaps=199))
    ids = {experiment.id for experiment in full_run.plan.study.experiments}
    for answer in findings(evidence, exploratory_grid(evidence)).questions:
        words = answer.headline.split()
        assert len(words) <= WORDS
        assert not ids & {word.strip(".,;:") for word in words}
