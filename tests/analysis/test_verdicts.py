"""Verdicts follow the rule that was fixed, and none is given without data."""

from __future__ import annotations

import pytest

from regimen.analysis.contrasts import Comparison
from regimen.analysis.declared_contrasts import JudgedContrast, Status
from regimen.analysis.records import to_json
from regimen.analysis.verdicts import by_contrasts
from regimen.study import Contrast
from regimen.study.questions import ContrastRule

RULE = ContrastRule(kind="contrasts", all_positive=("key",), half_positive=("half",))


def went(group: str, what: str, mde: float | None = 0.1) -> JudgedContrast:
    """A contrast that went one way: "better", "worse", "equivalent", "unclear", or a status."""
    contrast = Contrast(id=f"{group}:{what}", title=what, group=group, pairs=())
    if what in ("not yet", "not identifiable"):
        status: Status = "not yet" if what == "not yet" else "not identifiable"
        return JudgedContrast.of(contrast, status, "nothing there")
    estimate, low, high, p = {
        "better": (0.2, 0.1, 0.3, 0.001),
        "worse": (-0.2, -0.3, -0.1, 0.001),
        "equivalent": (0.01, -0.05, 0.07, 0.7),
        "unclear": (0.08, -0.02, 0.18, 0.3),
    }[what]
    found = Comparison(estimate, low, high, 0.05, p, p, 100, 100, "exact McNemar", mde, False, "", 0.05)
    return JudgedContrast.of(contrast, "tested", "", found)


@pytest.mark.parametrize(
    ("half", "key", "verdict"),
    [
        (["better", "better", "unclear", "worse"], "better", "yes"),
        (["better", "unclear", "unclear"], "better", "mixed"),
        (["better", "better"], "unclear", "mixed"),
        (["better", "better"], "equivalent", "mixed"),
        (["worse", "equivalent"], "equivalent", "no"),
        (["worse", "worse"], "worse", "no"),
        (["worse", "unclear"], "worse", "mixed"),
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


def test_without_declared_contrasts_there_is_no_verdict() -> None:
    assert by_contrasts(RULE, [])[0] == "not yet"


def test_where_nothing_could_have_been_seen_there_is_no_no() -> None:
    rule = ContrastRule(kind="contrasts", half_positive=("half",))
    found, summary = by_contrasts(rule, [went("half", "unclear", None), went("half", "equivalent", None)])
    assert found == "not identifiable"
    assert "too few items" in summary


def test_a_summary_holds_the_numbers_it_rests_on() -> None:
    _, summary = by_contrasts(RULE, [went("half", "better"), went("half", "unclear"), went("key", "worse")])
    assert "+0.200 (+0.100 to +0.300, n = 100, exact McNemar, adjusted p = 0.001)" in summary
    assert "effects of 0.100 could have been" in summary


def test_an_untested_contrast_has_no_numbers() -> None:
    found = to_json(went("half", "not yet"))
    assert found["status"] == "not yet"
    assert all(found[name] is None for name in ("estimate", "low", "high", "n", "p", "p_adjusted", "mde", "test"))
    assert found["statement"] == "not yet: not yet (nothing there)."
