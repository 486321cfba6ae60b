"""Verdicts follow the rule that was fixed, and none is given without data."""

from __future__ import annotations

import pytest

from regimen.analysis.records import to_json
from regimen.analysis.verdicts import by_contrasts, by_parts
from regimen.study.questions import ContrastRule, Part, PartsRule
from tests.support.made_findings import went

RULE = ContrastRule(kind="contrasts", all_positive=("key",), half_positive=("half",))


@pytest.mark.parametrize(
    ("half", "key", "verdict"),
    [
        (["better", "better", "undecided", "worse"], "better", "yes"),
        (["better", "undecided", "undecided"], "better", "undecided"),
        (["better", "better"], "undecided", "undecided"),
        (["better", "better"], "equivalent", "depends"),
        (["better", "worse", "undecided"], "undecided", "depends"),
        (["worse", "equivalent"], "equivalent", "no"),
        (["worse", "worse"], "worse", "no"),
        (["worse", "ruled out"], "ruled out", "no"),
        (["worse", "undecided"], "worse", "undecided"),
        (["undecided"], "undecided", "undecided"),
        (["better", "not yet"], "better", "not yet"),
        (["worse", "worse"], "not yet", "not yet"),
        (["better", "not identifiable"], "better", "yes"),
        (["better"], "not identifiable", "not identifiable"),
        (["not identifiable"], "not identifiable", "not identifiable"),
    ],
)
def test_the_rule(half: list[str], key: str, verdict: str) -> None:
    found, summary = by_contrasts(RULE, [*(went("half", what) for what in half), went("key", key)])
    assert found == verdict
    assert summary.lower().startswith(verdict)


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        (["better", "better"], "yes"),
        (["better", "not identifiable"], "yes"),
        (["better", "undecided"], "undecided"),
        (["better", "worse"], "depends"),
        (["equivalent", "worse"], "no"),
        (["better", "not yet"], "not yet"),
        (["not identifiable"], "not identifiable"),
    ],
)
def test_a_question_without_a_rule_asks_that_all_contrasts_are_better(outcomes: list[str], verdict: str) -> None:
    rule = ContrastRule(kind="contrasts")
    assert by_contrasts(rule, [went(f"g{n}", what) for n, what in enumerate(outcomes)])[0] == verdict


def test_without_declared_contrasts_there_is_no_verdict() -> None:
    assert by_contrasts(RULE, [])[0] == "not yet"


@pytest.mark.parametrize("mde", [None, 0.01, 10.0])
def test_what_could_have_been_seen_decides_nothing(mde: float | None) -> None:
    rule = ContrastRule(kind="contrasts", half_positive=("half",))
    assert by_contrasts(rule, [went("half", "undecided", mde)])[0] == "undecided"
    assert by_contrasts(rule, [went("half", "equivalent", mde)])[0] == "no"


def test_a_summary_holds_the_numbers_it_rests_on() -> None:
    _, summary = by_contrasts(RULE, [went("half", "better"), went("half", "undecided"), went("key", "worse")])
    assert summary.startswith("Depends: in this one run, of 3 declared contrasts 1 better, 1 worse, 0 equivalent")
    assert "+0.200 (+0.100 to +0.300, n = 100, exact McNemar, adjusted p = 0.001)" in summary
    assert "the largest upper bound is +0.170, against its margin of 0.08 (undecided)." in summary


def test_with_replicates_a_summary_says_how_many() -> None:
    _, summary = by_contrasts(RULE, [went("half", "better", runs=5), went("key", "better", runs=3)])
    assert summary.startswith("Yes: over 3 runs of each recipe, of 2 declared contrasts 2 better")


def test_groups_apart_decide_nothing_and_are_reported() -> None:
    rule = ContrastRule(kind="contrasts", all_positive=("key",), apart=("own",))
    found, summary = by_contrasts(rule, [went("key", "equivalent"), went("own", "better")])
    assert found == "no"
    assert "Apart from this, of 1 declared contrasts 1 better" in summary
    assert by_contrasts(rule, [went("key", "better"), went("own", "not yet")])[0] == "not yet"


PARTS = PartsRule(
    kind="parts",
    parts=(Part(title="Forward transfer", groups=("f",)), Part(title="Forgetting", groups=("k",), asks="kept")),
)


@pytest.mark.parametrize(
    ("forward", "kept", "verdict", "words"),
    [
        (["better", "better"], "worse", "yes", "Forgetting: of 1 contrasts 1 lost something, 0 kept"),
        (["better", "undecided"], "equivalent", "depends", "Forgetting: of 1 contrasts 0 lost something, 1 kept all"),
        (["worse", "ruled out"], "ruled out", "no", "and 1 undecided."),
        (["equivalent", "undecided"], "undecided", "undecided", "Forward transfer: undecided; of 2"),
        (["better", "not yet"], "worse", "not yet", "1 of 3 declared contrasts lack results"),
        (["not identifiable"], "worse", "not identifiable", "Forward transfer: not identifiable."),
    ],
)
def test_each_part_has_its_words_and_those_that_ask_for_a_gain_decide(
    forward: list[str], kept: str, verdict: str, words: str
) -> None:
    found, summary = by_parts(PARTS, [*(went("f", what) for what in forward), went("k", kept)])
    assert found == verdict
    assert summary.lower().startswith(verdict)
    assert words in summary


def test_an_untested_contrast_has_no_numbers() -> None:
    found = to_json(went("half", "not yet"))
    assert found["status"] == "not yet"
    assert all(
        found[name] is None
        for name in ("estimate", "low", "high", "n", "p", "p_adjusted", "mde", "test", "margin", "inner_high")
    )
    assert found["statement"] == "not yet: not yet (nothing there)."
